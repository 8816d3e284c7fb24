"""The hart against the manual, against plain models, against QEMU, and against itself without caches."""
