"""The machine and the hypervisor: instruction set, hart, devices, board and VMM, from the bottom up."""
