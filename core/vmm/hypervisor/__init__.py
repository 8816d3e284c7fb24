"""Many VMs on one machine: its RAM and its time, shared out."""
