"""The reference answer to lab 8."""
