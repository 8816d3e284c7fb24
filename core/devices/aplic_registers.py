"""The APLIC's registers: where they lie, their fields, and the addresses that messages go to.

Source: RISC-V Advanced Interrupt Architecture 1.0, "Memory-mapped control region for an interrupt domain".
"""

from __future__ import annotations

N_SOURCES = 96
PRIORITY_MASK = 7
"""IPRIOLEN is 3, as on QEMU's `virt`."""

DOMAINCFG = 0x0000
SOURCECFG = 0x0004
MSIADDRCFG = 0x1BC0
SETIP, IN_CLRIP, SETIE, CLRIE = 0x1C00, 0x1D00, 0x1E00, 0x1F00
NUMBER = 0xDC
"""In each of these four arrays, the register that takes one source's number."""
SETIPNUM_LE = 0x2000
GENMSI = TARGET = 0x3000  # there is no source 0, so no target
IDC_BASE, IDC_SIZE = 0x4000, 0x20
IDELIVERY, IFORCE, ITHRESHOLD, TOPI, CLAIMI = 0x00, 0x04, 0x08, 0x18, 0x1C

WORD = 0xFFFF_FFFF
DOMAINCFG_FIXED, IE, DM = 0x8000_0000, 1 << 8, 1 << 2
DELEGATED = 1 << 10
CHILD_0 = DELEGATED
HART_SHIFT, GUEST_SHIFT, GUEST_MASK, EIID = 18, 12, 0x3F, 0x7FF

_LOCK = 1 << 31
_FIELDS = (WORD, _LOCK | 0x1F77_FFFF, WORD, 0x0070_0FFF)  # mmsiaddrcfg, mmsiaddrcfgh, smsiaddrcfg, smsiaddrcfgh


class MsiAddresses:
    """mmsiaddrcfg and smsiaddrcfg: which page belongs to which hart ("Addresses and data for outgoing MSIs").

    words: mmsiaddrcfg, mmsiaddrcfgh, smsiaddrcfg, smsiaddrcfgh.
    """

    def __init__(self) -> None:
        self.words = [0, 0, 0, 0]

    def load(self, offset: int) -> int:
        """The word at offset 0, 4, 8 or 12; zero for what follows."""
        return self.words[offset >> 2] if offset >> 2 < len(self.words) else 0

    def store(self, offset: int, value: int) -> None:
        """Write a word, unless mmsiaddrcfgh.L locks them all."""
        if offset >> 2 < len(self.words) and not self.words[1] & _LOCK:
            self.words[offset >> 2] = value & _FIELDS[offset >> 2]

    def of(self, hart: int, guest: int | None) -> int:
        """The address of the interrupt file of the hart at M-mode (guest None), at S-mode (0), or of a guest."""
        high = self.words[1]
        group_shift, group_width, hart_width = high >> 24 & 0x1F, high >> 16 & 7, high >> 12 & 0xF
        group = hart >> hart_width & (1 << group_width) - 1
        member = hart & (1 << hart_width) - 1
        low, top = self.words[:2] if guest is None else self.words[2:]
        base = (top & 0xFFF) << 32 | low
        return (base | group << group_shift + 12 | member << (top >> 20 & 7) | (guest or 0)) << 12
