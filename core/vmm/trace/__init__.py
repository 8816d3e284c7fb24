"""Traces: what a guest, or a whole machine, did, recorded to a compact file and read back in several forms."""
