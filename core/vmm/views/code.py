"""Instructions around pc, or around an address that is asked for, as the guest's own translation leads to them: named,
with source lines between them, breakpoints, exits and what the next ones will do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...isa.paging import PAGE_SIZE
from ...machine.debug_data import SourceLine
from ..csr_file import SATP, SSTATUS, SSTATUS_MXR, SSTATUS_SUM
from ..emulate import MEMORY_OPS
from ..inspector.sight import Sight
from ..walker import FETCH, USER
from .ahead import CSR_READS, ENDS, Foretold, foretell
from .card.event import executed
from .card.faults import why
from .card.world import World, world_of
from .listing import BRANCHES, MASK, Line, after, before, target_of, text_of
from .places import PlaceKind, place_of
from .sources import find_source, read_source
from .stages import Who
from .walk import guest_stage

if TYPE_CHECKING:
    from ...machine.program import Program
    from ..inspector import Inspection, Inspector

AHEAD: Final = 24
"""Steps foretold, while the guest is at rest."""


@dataclass(frozen=True)
class Label:
    """A function begins here."""

    address: int
    name: str


@dataclass(frozen=True)
class SourceMark:
    """The instructions that follow were made of this line. text: of the file, empty where it is not found. inside: the
    functions inlined here, innermost first."""

    address: int
    path: str
    line: int
    text: str
    inside: tuple[str, ...]


@dataclass(frozen=True)
class Insn:
    """An instruction. text: disassembled, its target by name. target: where it may jump to. means: what it makes of an
    auipc before it, by name: a function that it calls, a variable. breakpoint: True if one is
    set, False if one is there but off, None without. exits: by which rule it exits, whatever its operands; empty if it
    does not. is_pc: the next one. foretold: what it will do, if it is among the next steps."""

    address: int
    bits: int
    size: int
    text: str
    symbol: str
    target: int | None
    means: str
    breakpoint: bool | None
    exits: str
    is_pc: bool
    foretold: Foretold | None


@dataclass(frozen=True)
class Gap:
    """Nothing that could be executed: from here on it cannot be read, or (is_readable) not fetched. why: by which rule,
    in the present mode."""

    address: int
    size: int
    why: str
    is_readable: bool


CodeLine = Label | SourceMark | Insn | Gap


@dataclass(frozen=True)
class CodeView:
    """What there is to see. at: the address that was asked for, or pc. program: whose code pc is in. function: that,
    with those inlined there, innermost first. line: pc's source line, None if it has none. ahead: the next steps, in
    order."""

    name: str
    technique: str
    step: int
    vcpu: int
    mode: str
    pc: int
    at: int
    program: str
    function: str
    inside: tuple[str, ...]
    line: SourceLine | None
    lines: tuple[CodeLine, ...]
    ahead: tuple[Foretold, ...]
    is_running: bool


def view_code(inspection: Inspection, at: int | None = None, *, above: int = 16, below: int = 48,
              has_sources: bool = True) -> CodeView:
    """Instructions around `at`, or pc: `above` before it, `below` from it on, with source lines (`has_sources`)."""
    inspector = inspection.inspector
    vcpu = inspector.vcpu
    pc = vcpu.hart.pc
    anchor = pc if at is None else at & -2
    if inspector.is_running:
        above, below = min(above, above // 2 + 2), min(below, below // 2 + 8)
    known = inspector.code.known(vcpu)
    ahead = () if inspector.is_running else foretell(inspector, AHEAD)
    lines = _Listing(inspector, known, ahead).lines(anchor, above, below, has_sources)
    program = next((each for each in known if each.symbols.find(pc) is not None), None)
    return CodeView(
        inspector.name, inspector.technique, inspector.step, vcpu.index, "S" if vcpu.mode else "U", pc, anchor,
        "" if program is None else program.name, "" if program is None else program.symbols.describe(pc),
        _inside(known, pc), next((found for each in known if (found := each.debug.find(pc)) is not None), None),
        tuple(lines), ahead, inspector.is_running)


def _inside(known: tuple[Program, ...], address: int) -> tuple[str, ...]:
    return next((tuple(call.name for call in found) for each in known if (found := each.debug.inlined(address))), ())


class _Listing:
    """Makes the lines."""

    def __init__(self, inspector: Inspector, known: tuple[Program, ...], ahead: tuple[Foretold, ...]) -> None:
        self._inspector = inspector
        self._vcpu = inspector.vcpu
        self._known = known
        self._sight = Sight(self._vcpu)
        self._world = world_of(self._vcpu) if inspector.technique != "bare" else None
        self._breakpoints = {each.address: each.is_enabled for each in inspector.breakpoints}
        self._ahead: dict[int, Foretold] = {}
        for each in reversed(ahead):
            self._ahead[each.pc] = each
        self._page = -1
        self._texts: dict[str, tuple[str, ...]] = {}
        self._upper: dict[int, int] = {}  # what auipc left in registers, on the way down the listing

    def lines(self, anchor: int, above: int, below: int, has_sources: bool) -> list[CodeLine]:
        """All of them."""
        found = [*self._above(anchor, above), *after(self._sight.read, anchor, below)]
        lines: list[CodeLine] = []
        last: SourceLine | None = None
        for line in found:
            gap = self._gap(line)
            if gap is not None:
                lines.append(gap)
            if line.bits is None:
                continue
            name = self._find(line.address)
            if name is not None and name[1] == 0:
                lines.append(Label(line.address, name[0]))
                last = None
                self._upper.clear()
            if has_sources:
                source = self._line(line.address)
                if source is not None and source != last:
                    lines.append(self._mark(line.address, source))
                    last = source
            lines.append(self._insn(line, line.bits, name))
        return lines

    def _above(self, address: int, count: int) -> list[Line]:
        """`count` instructions up to an address, function by function."""
        lines: list[Line] = []
        while len(lines) < count:
            function = self._find(address - 1)
            start = None if function is None else address - 1 - function[1]
            found = before(self._sight.read, address, count - len(lines), start)
            lines[:0] = found
            if not found or start is None:
                break
            address = found[0].address
        return lines

    def _find(self, address: int) -> tuple[str, int] | None:
        return next((found for each in self._known if (found := each.symbols.find(address)) is not None), None)

    def _describe(self, address: int) -> str:
        return next((text for each in self._known if (text := each.symbols.describe(address))), "")

    def _insn(self, line: Line, bits: int, name: tuple[str, int] | None) -> Insn:
        address, target = line.address, target_of(line)
        text = text_of(bits, address)
        if target is not None:
            told = self._describe(target)
            if told:
                text = text.replace(f"{target:#x}", told)
        symbol = "" if name is None else f"{name[0]}+{name[1]:#x}" if name[1] else name[0]
        made = self._made(line)
        means = "" if made is None else self._inspector.code.describe(self._vcpu, made)
        if target is None and line.decoded is not None and line.decoded.name == "jalr":
            target = made
        return Insn(address, bits, line.size, text, symbol, target, means, self._breakpoints.get(address),
                    self._exits(line), address == self._vcpu.hart.pc, self._ahead.get(address))

    def _made(self, line: Line) -> int | None:
        """The address that an instruction makes of an auipc before it."""
        insn = line.decoded
        if insn is None:
            return None
        uses = insn.name in ("addi", "jalr") or insn.name in MEMORY_OPS
        made = self._upper[insn.rs1] + insn.imm & MASK if uses and insn.rs1 in self._upper else None
        if insn.name == "auipc":
            self._upper[insn.rd] = line.address + insn.imm & MASK
        elif "rd" in insn.row.format.operands:
            self._upper.pop(insn.rd, None)
        if insn.name in ("jal", "jalr", *BRANCHES):
            self._upper.clear()
        return made

    def _exits(self, line: Line) -> str:
        """The rule by which the technique makes it exit, if it does so whatever its operands."""
        insn, world = line.decoded, self._world
        if world is None or insn is None or not (insn.row.privilege.traps or insn.name in (*CSR_READS, *ENDS)):
            return ""
        return _rule(self._inspector, insn.insn, self._vcpu.mode, world)

    def _line(self, address: int) -> SourceLine | None:
        return next((found for each in self._known if (found := each.debug.find(address)) is not None), None)

    def _mark(self, address: int, source: SourceLine) -> SourceMark:
        if source.path not in self._texts:
            file = find_source(source.path, self._inspector.sources)
            self._texts[source.path] = () if file is None else read_source(file)
        text = self._texts[source.path]
        return SourceMark(address, source.path, source.line,
                          text[source.line - 1].strip() if source.line <= len(text) else "",
                          _inside(self._known, address))

    def _gap(self, line: Line) -> Gap | None:
        """Where a page begins that the guest cannot fetch from as it is."""
        page = line.address & -PAGE_SIZE
        if page == self._page and line.bits is not None:
            return None
        self._page = page
        if line.bits is not None and self._sight.walk(line.address, FETCH).cause is None:
            return None
        return Gap(line.address, line.size, self._forbids(line.address), line.bits is not None)

    def _forbids(self, address: int) -> str:
        vcpu = self._vcpu
        status = vcpu.csrs.read(SSTATUS)
        who = Who(FETCH, vcpu.mode == USER, bool(status & SSTATUS_SUM), bool(status & SSTATUS_MXR))
        stage = guest_stage(vcpu, address, who, vcpu.csrs.read(SATP))
        if stage.rule is not None:
            return stage.rule.text
        if stage.result is None:
            return "the guest's tables lead nowhere"
        place = place_of(self._inspector, stage.result)
        return f"GPA {stage.result:#x} is {'a device' if place.kind is PlaceKind.DEVICE else 'no RAM'}" \
            if place.kind is not PlaceKind.RAM else ""


def _rule(inspector: Inspector, bits: int, mode: int, world: World) -> str:
    found = why(executed(inspector.vcpu, bits, mode), world)
    return found.rule if found.exits else ""
