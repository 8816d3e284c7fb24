"""Lab 0: encode and decode. `lab.LAB` is the lab."""
