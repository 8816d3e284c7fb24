"""Lab 5: devices. `lab.LAB` is the lab."""
