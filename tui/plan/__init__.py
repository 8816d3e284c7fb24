"""A plan: the file that declares a machine, its networks and its VMs, for `hartvisor up`."""
