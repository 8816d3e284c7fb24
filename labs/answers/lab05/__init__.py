"""The reference answer to lab 5."""
