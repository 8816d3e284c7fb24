"""Software that nobody here wrote: Debian's kernel, OpenSBI and U-Boot."""
