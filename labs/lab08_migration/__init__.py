"""Lab 8: live migration. `lab.LAB` is the lab."""
