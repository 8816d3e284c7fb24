"""What the values of CSRs and of their fields are called, for people: `FS` 3 is dirty, `MODE` 8 in satp is Sv39."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from . import causes
from .csr import Csr, Field
from .paging import GSTAGE_FORMATS, MODE_BARE, PAGE_SHIFT, STAGE_FORMATS
from .registers import ROUNDING_MODES

CAUSES: Final = ("scause", "vscause", "mcause")
TVECS: Final = ("stvec", "vstvec", "mtvec")
DELEGATIONS: Final = ("medeleg", "mideleg", "hedeleg", "hideleg")

_STATES: Final = {0: "off", 1: "initial", 2: "clean", 3: "dirty"}
_WIDTHS: Final = {1: "32 bits", 2: "64 bits"}
_STAGE: Final = {MODE_BARE: "bare", **{mode: form.name for mode, form in STAGE_FORMATS.items()}}
_GSTAGE: Final = {MODE_BARE: "bare", **{mode: form.name for mode, form in GSTAGE_FORMATS.items()}}
_TVEC: Final = {0: "direct", 1: "vectored"}
_ROUNDING: Final = {value: name for value, name in ROUNDING_MODES.items() if name != "dyn"}

_BY_FIELD: Final[Mapping[str, Mapping[int, str]]] = {
    "FS": _STATES, "VS": _STATES, "XS": _STATES, "UXL": _WIDTHS, "SXL": _WIDTHS, "VSXL": _WIDTHS,
    "SPP": {0: "U", 1: "S"}, "SPVP": {0: "VU", 1: "VS"}, "MPP": {0: "U", 1: "S", 3: "M"},
    "RM": _ROUNDING, "FRM": _ROUNDING, "CBIE": {0: "traps", 1: "flushes", 3: "invalidates"},
    "EVENT": {1: "cycles", 2: "instructions", 3: "traps"},
}
_BY_CSR: Final[Mapping[tuple[str, str], Mapping[int, str]]] = {
    **{(name, "MODE"): _STAGE for name in ("satp", "vsatp")}, ("hgatp", "MODE"): _GSTAGE,
    **{(name, "MODE"): _TVEC for name in TVECS},
}
"""Where fields of one name mean different things."""

_ADDRESSES: Final = {"ADDRESS", "HALFWORD", "BASE"}
"""Fields that are nothing but parts of an address."""

_QUIET: Final = {"UXL", "SXL", "VSXL", "SD"}
"""Fields that a summary leaves out: they never change, or follow from another."""

_TOLD_AT_ZERO: Final = {"SPP", "FS", "FRM"}


def field_value(field: Field, value: int) -> int:
    """The field's bits in a value of its CSR, as a number."""
    return (value & field.mask) >> field.lo


def field_name(csr: Csr, field: Field, value: int) -> str:
    """What the field's value in `value`, of the whole CSR, is called; empty for one that is only a number."""
    if csr.name in CAUSES and field.name == "CODE":
        return causes.describe(value)
    names = _BY_CSR.get((csr.name, field.name)) or _BY_FIELD.get(field.name)
    return names.get(field_value(field, value), "reserved") if names is not None else ""


def meaning(csr: Csr, value: int) -> str:
    """A value in a few words: what is set, and what fields are called; empty for a plain number or address."""
    if csr.name in CAUSES:
        return causes.describe(value)
    if csr.name == "frm":
        return ROUNDING_MODES.get(value, "reserved")
    fields = {field.name: field for field in csr.fields}
    if not fields.keys() - _ADDRESSES:
        return ""
    if csr.name in DELEGATIONS:
        return f"{value.bit_count()} delegated" if value else "nothing delegated"
    if "PPN" in fields and not field_value(fields["MODE"], value):
        return "bare"
    order = reversed(csr.fields) if "PPN" in fields else csr.fields
    return " ".join(filter(None, (_summary(csr, field, value) for field in order))) or "nothing set"


def _summary(csr: Csr, field: Field, value: int) -> str:
    """What a summary says of a field; empty for nothing."""
    if field.name in _ADDRESSES or field.name in _QUIET:
        return ""
    bits, name = field_value(field, value), field_name(csr, field, value)
    if field.name == "MODE":
        return name
    if field.name == "PPN":
        return f"root {bits << PAGE_SHIFT:#x}"
    if name:
        return f"{field.name}={name}" if bits or field.name in _TOLD_AT_ZERO else ""
    if field.hi == field.lo:
        return field.name if bits else ""
    return f"{field.name}={bits:#x}" if bits else ""
