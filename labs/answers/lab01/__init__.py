"""The reference answer to lab 1."""
