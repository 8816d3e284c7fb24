"""Lab 7: snapshots. `lab.LAB` is the lab."""
