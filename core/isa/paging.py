"""Page-table entries and paging formats, as the translation hardware and everyone who explains it read them.

A Sv39 address and its entry (privileged manual, "Sv39: Page-Based 39-bit Virtual-Memory System"):

    gva   38      30 29      21 20      12 11            0
         | VPN[2] 9 | VPN[1] 9 | VPN[0] 9 | page offset 12 |

    PTE   63 62   61 60      54 53       28 27     19 18     10 9  8 7 6 5 4 3 2 1 0
         | N | PBMT | reserved | PPN[2] 26 | PPN[1] 9 | PPN[0] 9 | RSW |D|A|G|U|X|W|R|V|

Sv48 and Sv57 put one and two more VPNs of 9 bits on top. Sv39x4, Sv48x4 and Sv57x4 (H, "Guest Physical Address
Translation") widen the topmost VPN to 11 bits: GPAs of 41, 50 and 59 bits, and a 16 KiB root table.
"""

from __future__ import annotations

from dataclasses import dataclass

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT
PTE_SIZE = 8


@dataclass(frozen=True, slots=True)
class PteField:
    """A named bit range of a page-table entry, bits `hi` down to `lo`."""

    name: str
    hi: int
    lo: int
    description: str

    @property
    def mask(self) -> int:
        """The field's bits, in place."""
        return ((1 << self.hi - self.lo + 1) - 1) << self.lo


PTE_FIELDS: tuple[PteField, ...] = (
    PteField("V", 0, 0, "the entry is valid"),
    PteField("R", 1, 1, "readable; R=W=X=0 points to the next table"),
    PteField("W", 2, 2, "writable; W without R is reserved"),
    PteField("X", 3, 3, "executable"),
    PteField("U", 4, 4, "accessible to user mode"),
    PteField("G", 5, 5, "global: in every address space"),
    PteField("A", 6, 6, "accessed"),
    PteField("D", 7, 7, "dirty"),
    PteField("RSW", 9, 8, "reserved for supervisor software"),
    PteField("PPN", 53, 10, "physical page number"),
    PteField("RESERVED", 60, 54, "reserved, must be zero"),
    PteField("PBMT", 62, 61, "page-based memory type (Svpbmt); must be zero without it"),
    PteField("N", 63, 63, "naturally aligned power-of-two range (Svnapot); must be zero without it"),
)

_MASK = {field.name: field.mask for field in PTE_FIELDS}
PTE_V, PTE_R, PTE_W, PTE_X = _MASK["V"], _MASK["R"], _MASK["W"], _MASK["X"]
PTE_U, PTE_G, PTE_A, PTE_D = _MASK["U"], _MASK["G"], _MASK["A"], _MASK["D"]
PTE_RSW, PTE_PPN, PTE_RESERVED, PTE_PBMT, PTE_N = (_MASK[name] for name in ("RSW", "PPN", "RESERVED", "PBMT", "N"))
PTE_PPN_SHIFT = 10

NAPOT_SHIFT = 16
"""A level-0 entry with N=1 maps 64 KiB, the one size there is (Svnapot)."""
NAPOT_PPN = (1 << NAPOT_SHIFT - PAGE_SHIFT) - 1
"""The bits of an entry's page number that N=1 puts the page's own bits in place of; they hold NAPOT_CODE."""
NAPOT_CODE = 8

PBMT_SHIFT = 61
PBMT_RESERVED = 3
"""The page-based memory type that faults (Svpbmt); 0 is the memory's own, 1 non-cacheable, 2 I/O."""


@dataclass(frozen=True, slots=True)
class PagingFormat:
    """A translation scheme: its `mode` in satp or hgatp, its levels, and how many bits index the root and the rest."""

    name: str
    mode: int
    levels: int
    index_bits: int
    root_index_bits: int
    is_gstage: bool

    @property
    def address_bits(self) -> int:
        """Width in bits of the address that is translated."""
        return PAGE_SHIFT + self.index_bits * (self.levels - 1) + self.root_index_bits

    @property
    def root_size(self) -> int:
        """Bytes of the root table, which is aligned to its own size."""
        return PTE_SIZE << self.root_index_bits

    def shift(self, level: int) -> int:
        """The lowest address bit that indexes the table at `level`; the page at a leaf there has 1 << shift bytes."""
        return PAGE_SHIFT + self.index_bits * level

    def index(self, address: int, level: int) -> int:
        """The entry number that `address` selects in a table at `level` (the root's level is levels - 1)."""
        width = self.root_index_bits if level == self.levels - 1 else self.index_bits
        return address >> self.shift(level) & (1 << width) - 1

    def is_canonical(self, address: int) -> bool:
        """Whether the 64-bit `address` fits: sign-extended for a VS/S-stage GVA, zero-extended for a GPA."""
        if self.is_gstage:
            return address >> self.address_bits == 0
        top = address >> (self.address_bits - 1)
        return top in (0, (1 << 64 - self.address_bits + 1) - 1)


MODE_BARE = 0
"""satp, vsatp and hgatp: no translation."""


def _formats(name: str, mode: int, levels: int) -> tuple[PagingFormat, PagingFormat]:
    """The scheme of a mode for virtual addresses, and that for guest physical ones."""
    return (PagingFormat(name, mode, levels, index_bits=9, root_index_bits=9, is_gstage=False),
            PagingFormat(name + "x4", mode, levels, index_bits=9, root_index_bits=11, is_gstage=True))


SV39, SV39X4 = _formats("Sv39", mode=8, levels=3)
SV48, SV48X4 = _formats("Sv48", mode=9, levels=4)
SV57, SV57X4 = _formats("Sv57", mode=10, levels=5)
PAGING_FORMATS: tuple[PagingFormat, ...] = (SV39, SV48, SV57, SV39X4, SV48X4, SV57X4)

STAGE_FORMATS: dict[int, PagingFormat] = {form.mode: form for form in (SV39, SV48, SV57)}
"""By MODE: what satp and vsatp can select."""
GSTAGE_FORMATS: dict[int, PagingFormat] = {form.mode: form for form in (SV39X4, SV48X4, SV57X4)}
"""By MODE: what hgatp can select."""


def top_mode(isa: frozenset[str]) -> int:
    """The largest MODE that satp, vsatp and hgatp of a hart with these extensions take; those below it, it has too."""
    return max((form.mode for form in STAGE_FORMATS.values() if form.name in isa), default=SV39.mode)


def mmu_type(isa: frozenset[str]) -> str:
    """What the device tree calls the largest scheme: riscv,sv39, riscv,sv48 or riscv,sv57."""
    return f"riscv,{STAGE_FORMATS[top_mode(isa)].name.lower()}"


def smallest_gstage(top: int) -> PagingFormat:
    """The scheme with the fewest levels that translates guest physical addresses up to `top`, which is not included."""
    return next(form for form in GSTAGE_FORMATS.values() if form.is_canonical(top - 1))


def must_be_zero(isa: frozenset[str]) -> int:
    """The bits that no entry may have set, on a hart with these extensions (and PBMTE=1)."""
    return PTE_RESERVED | (0 if "Svnapot" in isa else PTE_N) | (0 if "Svpbmt" in isa else PTE_PBMT)


def is_bad_leaf(pte: int, level: int) -> bool:
    """A misaligned superpage, a reserved memory type (Svpbmt) or a reserved NAPOT size (Svnapot)."""
    if ppn(pte) & (1 << 9 * level) - 1 or (pte & PTE_PBMT) >> PBMT_SHIFT == PBMT_RESERVED:
        return True
    return bool(pte & PTE_N) and (level != 0 or ppn(pte) & NAPOT_PPN != NAPOT_CODE)


def leaf_address(pte: int, level: int, address: int) -> int:
    """Where a good leaf at `level` leads from `address`."""
    inside = (1 << (NAPOT_SHIFT if pte & PTE_N else PAGE_SHIFT + 9 * level)) - 1
    return ppn(pte) << PAGE_SHIFT & ~inside | address & inside


def is_legal_satp(value: int, isa: frozenset[str]) -> bool:
    """Whether a write of this value to satp takes effect ("satp": one with an unsupported MODE is ignored whole)."""
    mode = value >> 60
    return mode == MODE_BARE or (mode in STAGE_FORMATS and mode <= top_mode(isa))


def ppn(pte: int) -> int:
    """The physical page number in a page-table entry."""
    return (pte & PTE_PPN) >> PTE_PPN_SHIFT


def make_pte(physical: int, flags: int) -> int:
    """The entry that points at page-aligned address `physical` with the `flags` bits."""
    return physical >> PAGE_SHIFT << PTE_PPN_SHIFT | flags
