"""The subcommands of `hartvisor`, one file each."""
