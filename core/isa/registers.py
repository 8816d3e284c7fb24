"""Register names: x0 to x31, f0 to f31, and those of the calling convention (ELF psABI, "Register Convention")."""

from __future__ import annotations

NUMERIC: tuple[str, ...] = tuple(f"x{i}" for i in range(32))

ABI: tuple[str, ...] = (
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5",
    "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6")

NUMBER: dict[str, int] = {
    **{name: i for i, name in enumerate(NUMERIC)}, **{name: i for i, name in enumerate(ABI)}, "fp": 8}
"""Register number by any of its names."""

FLOAT_NUMERIC: tuple[str, ...] = tuple(f"f{i}" for i in range(32))

FLOAT_ABI: tuple[str, ...] = (
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4", "fa5",
    "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11")

FLOAT_NUMBER: dict[str, int] = {
    **{name: i for i, name in enumerate(FLOAT_NUMERIC)}, **{name: i for i, name in enumerate(FLOAT_ABI)}}
"""Floating-point register number by any of its names."""

ROUNDING_MODES: dict[int, str] = {0: "rne", 1: "rtz", 2: "rdn", 3: "rup", 4: "rmm", 7: "dyn"}
"""Names of the rounding modes in an rm field ("Floating-Point Control and Status Register")."""
