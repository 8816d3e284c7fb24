"""Lab 2: trap and CSR emulation. `lab.LAB` is the lab."""
