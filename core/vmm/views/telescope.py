"""What values point to: code, variables, the stack, text, devices; and what lies there, for as far as that leads on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...isa.paging import PAGE_SIZE
from ...isa.registers import NUMBER
from ..inspector.sight import Sight
from .places import PlaceKind, place_of

if TYPE_CHECKING:
    from ..inspector import Inspector

CODE, DATA, STACK, TEXT, RAM, DEVICE = "code", "data", "stack", "text", "ram", "device"
"""Kinds of places."""

STACK_REACH: Final = 16 << 10
"""Bytes above sp, and STACK_BELOW below, that count as the stack."""

STACK_BELOW: Final = 1 << 10
LEAST_TEXT, MOST_TEXT = 3, 40
SMALL: Final = PAGE_SIZE
"""What is smaller, or larger than -SMALL, is a number and no pointer, even where something is mapped there."""

MAX_DEPTH: Final = 4
WORD_BYTES: Final = 8
SP: Final = NUMBER["sp"]
_ESCAPES: Final = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r", 0x1B: "\\e", 0x22: '\\"', 0x5C: "\\\\"}


@dataclass(frozen=True)
class Pointee:
    """What is at an address. kind: CODE, DATA, STACK, TEXT, RAM or DEVICE. name: a symbol and offset, sp and offset, a
    device; may be empty. text: the string there. value: the doubleword there, None where it cannot be read, or is text
    or code."""

    address: int
    kind: str
    name: str = ""
    text: str = ""
    value: int | None = None


class Telescope:
    """Follows values as pointers through the memory of the vCPU looked at, as it is now. sp: what places on the stack
    are told by; settable."""

    def __init__(self, inspector: Inspector) -> None:
        vcpu = inspector.vcpu
        self.sight = Sight(vcpu)
        self._inspector = inspector
        self.sp = vcpu.hart.read_gpr(SP)
        self._known = inspector.code.known(vcpu)

    def chain(self, value: int, depth: int = MAX_DEPTH) -> tuple[Pointee, ...]:
        """Where a value leads, then where what lies there does, and so on; nothing if it is no pointer."""
        found: list[Pointee] = []
        seen = set()
        while len(found) < depth and value not in seen:
            seen.add(value)
            pointee = self.find(value)
            if pointee is None:
                break
            found.append(pointee)
            if pointee.value is None:
                break
            value = pointee.value
        return tuple(found)

    def find(self, address: int) -> Pointee | None:
        """What is at an address; None if the value is no pointer."""
        if address < SMALL or address >= (1 << 64) - SMALL:
            return None
        gpa = self.sight.gpa(address)
        for program in self._known:
            name = program.symbols.describe(address)
            if name:
                return Pointee(address, CODE, name)
        if gpa is None:
            return None
        place = place_of(self._inspector, gpa)
        if place.kind is not PlaceKind.RAM:
            is_device = place.kind is PlaceKind.DEVICE
            return Pointee(address, DEVICE, f"{place.name}+{gpa - place.base:#x}") if is_device else None
        name = next((text for each in self._known if (text := each.variables.describe(address))), "")
        kind = DATA if name else RAM
        if not name and -STACK_BELOW <= address - self.sp <= STACK_REACH:
            kind, offset = STACK, address - self.sp
            name = f"sp{offset:+#x}" if offset else "sp"
        text = "" if kind == STACK and not address % WORD_BYTES else self.text(address)
        if text:
            return Pointee(address, TEXT, name, text)
        return Pointee(address, kind, name, value=self.sight.load(address, WORD_BYTES))

    def text(self, address: int) -> str:
        """The string at an address, quoted and cut off with an ellipsis if it is long; empty if there is none."""
        data = self.sight.read(address, MOST_TEXT + 1)
        text, end, _ = data.partition(b"\0")
        is_cut = not end and len(data) > MOST_TEXT
        if len(text) < LEAST_TEXT or not (end or is_cut) or not all(_is_text(byte) for byte in text):
            return ""
        shown = "".join(_ESCAPES.get(byte, chr(byte)) for byte in text[:MOST_TEXT])
        return f'"{shown}"' + ("…" if is_cut else "")


def _is_text(byte: int) -> bool:
    return 0x20 <= byte < 0x7F or byte in _ESCAPES
