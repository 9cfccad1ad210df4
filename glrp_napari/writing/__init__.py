"""Writing results: each file appears whole or not at all."""
