"""The reference answer to lab 3."""
