"""Figures of a study, for the window and the report alike: each draws plain values into matplotlib's axes."""
