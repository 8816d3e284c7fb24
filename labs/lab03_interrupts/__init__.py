"""Lab 3: exceptions, interrupts and time. `lab.LAB` is the lab."""
