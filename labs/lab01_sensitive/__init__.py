"""Lab 1: Popek and Goldberg. `lab.LAB` is the lab."""
