"""The reference answer to lab 0."""
