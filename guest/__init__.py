"""The guests that ship with Hartvisor, and their build."""
