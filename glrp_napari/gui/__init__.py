"""The window: the only place for Qt and napari. Imports the engine, never torch and never `glrp_training`."""
