"""Lab 9: the hypervisor extension. `lab.LAB` is the lab."""
