"""Lab 6: multiplexing. `lab.LAB` is the lab."""
