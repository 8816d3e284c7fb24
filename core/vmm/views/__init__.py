"""What there is to see of VMs, as frozen values: looked at without changing anything that the guest could see."""
