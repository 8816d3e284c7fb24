"""CSRs: what the guest reads, what the hart holds in those that stand for it, and what every bit means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...isa.csr import Csr
from ...isa.csr_values import field_name, field_value, meaning
from ...isa.csrs import BY_NAME
from ..csr_file import CYCLE, INSTRET, N_COUNTERS
from .standins import CONTROLS, STANDINS, standin
from .telescope import Telescope

if TYPE_CHECKING:
    from ...hart import Hart
    from ..inspector import Inspection, Inspector

GROUPS: Final = (
    ("traps", ("sstatus", "stvec", "sepc", "scause", "stval", "sscratch")),
    ("interrupts", ("sie", "sip", "stimecmp")),
    ("translation", ("satp",)),
    ("environment", ("scounteren", "senvcfg")),
    ("floating point", ("fflags", "frm", "fcsr")),
    ("counters", ("cycle", "time", "instret")),
)
"""The guest's CSRs, in the order in which they are shown; what is in none of them is a counter."""

CONTROL: Final = "the hart's, which control the guest"
POINTERS: Final = ("stvec", "sepc", "stval", "sscratch", "vstvec", "vsepc", "vstval", "vsscratch")
"""CSRs that may hold addresses."""


@dataclass(frozen=True)
class CsrRow:
    """A CSR. is_guest: what the guest reads, else one of the hart's own. was: its value before the last move, if that
    changed it. hart: the name and value of the hart's that stands for it; why it is that one."""

    number: int
    name: str
    group: str
    is_guest: bool
    value: int
    was: int | None
    meaning: str
    hart: tuple[str, int] | None = None
    why: str = ""

    @property
    def is_different(self) -> bool:
        """Whether the hart holds something else."""
        return self.hart is not None and self.hart[1] != self.value


@dataclass(frozen=True)
class FieldRow:
    """Bits hi to lo. values, names: by column of the detail. is_different: the hart's first column says something else
    than the guest's."""

    name: str
    hi: int
    lo: int
    description: str
    is_writable: bool
    values: tuple[int | None, ...]
    names: tuple[str, ...]

    @property
    def is_different(self) -> bool:
        """Whether the first two columns differ."""
        return len(self.values) > 1 and self.values[1] is not None and self.values[0] != self.values[1]


@dataclass(frozen=True)
class CsrDetail:
    """A CSR's fields. columns: whose values they are: the guest's first, then the hart's by name; or the hart's alone.
    why: how they hang together."""

    name: str
    number: int
    description: str
    is_guest: bool
    columns: tuple[tuple[str, int], ...]
    was: int | None
    fields: tuple[FieldRow, ...]
    why: str
    points_to: str


@dataclass(frozen=True)
class CsrsView:
    """What there is to see. technique, step, mode: where. detail: of the one that was asked for."""

    technique: str
    step: int
    mode: str
    vcpu: int
    rows: tuple[CsrRow, ...]
    detail: CsrDetail | None


def view_csrs(inspection: Inspection, wanted: tuple[bool, str] | None = None) -> CsrsView:
    """All CSRs of the vCPU looked at. wanted: the one whose fields are to be shown: (is_guest, name)."""
    inspector = inspection.inspector
    rows = (*_guest_rows(inspector), *_control_rows(inspector))
    detail = next((_detail(inspector, row) for row in rows if (row.is_guest, row.name) == wanted), None)
    return CsrsView(inspector.technique, inspector.step, "S" if inspector.vcpu.mode else "U", inspector.vcpu_index,
                    rows, detail)


def _guest_rows(inspector: Inspector) -> list[CsrRow]:
    has = {csr.name: csr for csr in inspector.target.csrs}
    order = [(name, group) for group, names in GROUPS for name in names if name in has]
    listed = {name for name, _ in order}
    order += [(name, "counters") for name in has if name not in listed]
    rows = []
    for name, group in order:
        csr = has[name]
        value = inspector.vcpu.read_csr(csr.number)
        if _is_idle_counter(csr, value):
            continue
        stand = standin(inspector.technique, name)
        hart = _of_hart(inspector.vcpu.hart, stand.names[0]) if stand.names else None
        rows.append(CsrRow(csr.number, name, group, True, value, _before(inspector, csr.number, value),
                           meaning(csr, value), hart, stand.why))
    return rows


def _control_rows(inspector: Inspector) -> list[CsrRow]:
    rows = []
    for name, why in CONTROLS[inspector.technique].items():
        found = _of_hart(inspector.vcpu.hart, name)
        if found is not None:
            csr = BY_NAME[name]
            rows.append(CsrRow(csr.number, name, CONTROL, False, found[1], None, meaning(csr, found[1]), why=why))
    return rows


def _is_idle_counter(csr: Csr, value: int) -> bool:
    """A performance counter that never counted."""
    return INSTRET < csr.number < CYCLE + N_COUNTERS and not value


def _before(inspector: Inspector, number: int, value: int) -> int | None:
    """The value before the last move, if that was another."""
    if inspector.before is None:
        return None
    was = inspector.before.vcpus[inspector.vcpu_index].csrs.get(number, value)
    return None if was == value else was


def _of_hart(hart: Hart, name: str) -> tuple[str, int] | None:
    """A CSR of the hart's, None if it has none such."""
    try:
        return name, hart.read_csr(BY_NAME[name].number)
    except KeyError:
        return None


def _detail(inspector: Inspector, row: CsrRow) -> CsrDetail:
    csr = BY_NAME[row.name]
    columns = [("the guest reads" if row.is_guest else "the hart's", row.value)]
    if row.is_guest and inspector.technique in STANDINS:
        found = (_of_hart(inspector.vcpu.hart, name) for name in standin(inspector.technique, row.name).names)
        columns += [each for each in found if each is not None]
    tables = [csr, *(BY_NAME[name] for name, _ in columns[1:])]
    fields = tuple(_field(each.name, tables, columns) for each in reversed(csr.fields))
    points_to = ""
    if row.name in POINTERS:
        chain = Telescope(inspector).chain(row.value, 1)
        points_to = (chain[0].name or chain[0].text) if chain else ""
    return CsrDetail(row.name, csr.number, csr.description, row.is_guest, tuple(columns), row.was, fields, row.why,
                     points_to)


def _field(name: str, tables: list[Csr], columns: list[tuple[str, int]]) -> FieldRow:
    first = next(field for field in tables[0].fields if field.name == name)
    values: list[int | None] = []
    names = []
    for csr, (_, value) in zip(tables, columns, strict=True):
        field = next((each for each in csr.fields if each.name == name and each.lo == first.lo), None)
        values.append(None if field is None else field_value(field, value))
        names.append("" if field is None else field_name(csr, field, value))
    return FieldRow(name, first.hi, first.lo, first.description, first.writable, tuple(values), tuple(names))
