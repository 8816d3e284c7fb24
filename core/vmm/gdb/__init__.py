"""GDB's remote serial protocol, for whatever runs: a VM under any technique, or the bare machine."""
