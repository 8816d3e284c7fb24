"""The reference answer to lab 9."""
