"""The debugger's side: the protocol itself, and gdb-multiarch in batch mode against the teaching kernel."""
