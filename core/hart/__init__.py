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
    "Memory",
    "op_counts",
    "op_names",
]
