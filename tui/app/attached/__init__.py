"""The app at the VMs of a hypervisor in another process, by its control socket."""
