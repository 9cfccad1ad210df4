"""GLRP cardiac: segment short-axis cine MRI, correct it, and adapt the model to a few labels."""

__version__ = "0.1.0"
