"""The reference answer to lab 4."""
