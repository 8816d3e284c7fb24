"""Hartvisor's tests: folders mirror the packages; `tests.oracles` finds the independent programs to compare with."""
