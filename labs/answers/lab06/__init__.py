"""The reference answer to lab 6."""
