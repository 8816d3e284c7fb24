"""The reference answer to lab 7."""
