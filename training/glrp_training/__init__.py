"""Learning: from labelled and unlabelled studies to models."""
