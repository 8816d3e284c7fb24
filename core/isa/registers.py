"""Integer register names: x0 to x31, and those of the calling convention (ELF psABI, "Register Convention")."""

from __future__ import annotations

NUMERIC: tuple[str, ...] = tuple(f"x{i}" for i in range(32))

ABI: tuple[str, ...] = (
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5",
    "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6")

NUMBER: dict[str, int] = {
    **{name: i for i, name in enumerate(NUMERIC)}, **{name: i for i, name in enumerate(ABI)}, "fp": 8}
"""Register number by any of its names."""
