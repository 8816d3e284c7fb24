"""The machine and its hypervisor; bottom up: isa, hart, devices, machine, vmm. Importing this package imports none of them."""
