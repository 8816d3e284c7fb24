"""The hypervisor: what plays HS-mode in Python, owns the machine's RAM and runs virtual machines."""
