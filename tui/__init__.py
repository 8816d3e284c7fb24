"""The terminal interface and the `hartvisor` command line, which start everything below them."""
