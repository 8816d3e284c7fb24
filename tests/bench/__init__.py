"""Benchmarks: run by hand (`python -m tests.bench.exits`), never a timed test."""
