"""The main screen, and those that come over it."""
