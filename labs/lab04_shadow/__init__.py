"""Lab 4: shadow paging. `lab.LAB` is the lab."""
