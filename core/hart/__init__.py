"""The hart, compiled, and the memory it runs from."""

from .hart import (
    EXIT_BREAKPOINT,
    EXIT_BUDGET,
    EXIT_IDLE,
    EXIT_MMIO,
    EXIT_TRAP,
    EXIT_WFI,
    HOST_HS,
    HOST_M,
    Exit,
    Hart,
    Memory,
    op_counts,
    op_names,
)

HartState = dict[str, int | str | tuple[int, ...] | dict[int, int]]
"""What Hart.save gives: names to plain values, so that it can be stored and compared without knowing the hart."""

__all__ = [
    "EXIT_BREAKPOINT",
    "EXIT_BUDGET",
    "EXIT_IDLE",
    "EXIT_MMIO",
    "EXIT_TRAP",
    "EXIT_WFI",
    "HOST_HS",
    "HOST_M",
    "Exit",
    "Hart",
    "HartState",
    "Memory",
    "op_counts",
    "op_names",
]
