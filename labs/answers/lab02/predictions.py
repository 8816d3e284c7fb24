"""Lab 2: the predictions, by reasoning."""

from __future__ import annotations

from ...lab02_traps.questions import ask_exits, ask_status

WRITABLE = 1 << 1 | 1 << 5 | 1 << 8 | 3 << 13 | 1 << 18 | 1 << 19
"""SIE, SPIE, SPP, FS, SUM, MXR. UXL reads 2, and SD says that FS is 3."""


def predict(seed: int) -> dict[str, int]:
    """Each CSR instruction is an exit each time round; nothing else is. sstatus is its writable bits, UXL and SD."""
    loop = ask_exits(seed)
    rounds = int(loop.split("li t0, ")[1].split()[0])
    value = int(ask_status(seed).split("sstatus, with ")[1].split(".\n")[0], 16) & WRITABLE
    sd = 1 << 63 if value >> 13 & 3 == 3 else 0
    return {"csr_exits": rounds * loop.split("?")[1].count("csr"), "sstatus_reads": value | 2 << 32 | sd}
