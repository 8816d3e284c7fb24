"""The reference answer to lab 2."""
