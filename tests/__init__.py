"""Hartvisor's tests; the folders mirror the packages, and `tests.oracles` finds the independent programs they compare with."""
