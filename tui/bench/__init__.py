"""What `hartvisor bench` measures, and how: workloads here and on QEMU in turns, exits, and scale."""
