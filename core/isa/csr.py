"""What one row of the CSR table holds."""

from __future__ import annotations

from dataclasses import dataclass

XLEN_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Field:
    """Bits `hi` down to `lo` of a CSR. `writable`: software can change them by writing the CSR.

    `extension` names the one without which the bits read as zero ("" if they are always there), or, separated by
    spaces, those that must all be there.
    """

    name: str
    hi: int
    lo: int
    description: str
    writable: bool = False
    extension: str = ""

    @property
    def mask(self) -> int:
        """The field's bits, in place."""
        return ((1 << self.hi - self.lo + 1) - 1) << self.lo


@dataclass(frozen=True, slots=True)
class Csr:
    """A control and status register.

    `write_mask` holds the bits that software can change by plain masking; what else a write does (WARL values, aliases,
    locked PMP entries) is the hart's code. `reset` is the value after reset, read-only bits included. `vs_twin` names
    the VS register that stands in for this one in VS-mode ("" if none). `extension` is what it belongs to ("" for the
    privileged base; registers of HS and VS need H besides).
    """

    number: int
    name: str
    description: str
    fields: tuple[Field, ...] = ()
    write_mask: int = 0
    reset: int = 0
    vs_twin: str = ""
    extension: str = ""

    @property
    def is_read_only(self) -> bool:
        """Whether any write is illegal: bits 11:10 of the number are 3 ("CSR Address Mapping Conventions")."""
        return self.number >> 10 == 3

    def exists_in(self, isa: frozenset[str]) -> bool:
        """Whether a hart with these extensions has the register; those of HS and VS (bits 9:8 are 2) need H too."""
        return (not self.extension or self.extension in isa) and (self.number >> 8 & 3 != 2 or "H" in isa)

    def absent_bits(self, isa: frozenset[str]) -> int:
        """The bits that read as zero on a hart with these extensions, because what they belong to is not among them."""
        return sum(field.mask for field in self.fields if not isa.issuperset(field.extension.split()))


def structured(number: int, name: str, description: str, *fields: Field, reset: int = 0, vs_twin: str = "",
               extension: str = "") -> Csr:
    """A CSR made of fields: the writable ones make its write mask."""
    write_mask = sum(field.mask for field in fields if field.writable)
    return Csr(number, name, description, fields, write_mask, reset, vs_twin, extension)


def plain(number: int, name: str, description: str, write_mask: int = XLEN_MASK, *, reset: int = 0, vs_twin: str = "",
          extension: str = "") -> Csr:
    """A CSR that is one value."""
    return Csr(number, name, description, (), write_mask, reset, vs_twin, extension)
