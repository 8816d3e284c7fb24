"""Lab 10: record and replay. `lab.LAB` is the lab."""
