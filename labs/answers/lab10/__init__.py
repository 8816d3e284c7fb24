"""The reference answer to lab 10."""
