"""What values point to: code, variables, the stack, text, devices; and what lies there, for as far as that leads on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...isa.paging import PAGE_SIZE
from ...isa.registers import NUMBER

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
    """Follows values as pointers through the memory of the vCPU looked at, as it is now."""

    def __init__(self, inspector: Inspector) -> None:
        self._vcpu = inspector.vcpu
        self._code = inspector.code
        self._ram = inspector.vm.ram
        self._slots = inspector.vm.bus.slots
        self._sp = self._vcpu.hart.read_gpr(SP)
        self._known = self._code.known(self._vcpu)
        self._pages: dict[int, int | None] = {}

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
        gpa = self.gpa(address)
        for program in self._known:
            name = program.symbols.describe(address)
            if name:
                return Pointee(address, CODE, name)
        if gpa is None:
            return None
        if not self._ram.contains(gpa):
            device = next((region for region, _ in self._slots if region.base <= gpa < region.end), None)
            return None if device is None else Pointee(address, DEVICE, f"{device.name}+{gpa - device.base:#x}")
        name = next((text for each in self._known if (text := each.variables.describe(address))), "")
        kind = DATA if name else RAM
        if not name and -STACK_BELOW <= address - self._sp <= STACK_REACH:
            kind, offset = STACK, address - self._sp
            name = f"sp{offset:+#x}" if offset else "sp"
        text = "" if kind == STACK and not address % WORD_BYTES else self.text(address)
        if text:
            return Pointee(address, TEXT, name, text)
        return Pointee(address, kind, name, value=self.word(address))

    def gpa(self, address: int) -> int | None:
        """Where an address leads by the guest's tables, whatever is allowed there; None if nowhere."""
        page = address & -PAGE_SIZE
        if page not in self._pages:
            found = self._vcpu.look(page)
            self._pages[page] = None if found.cause is not None else found.gpa
        start = self._pages[page]
        return None if start is None else start | address & PAGE_SIZE - 1

    def word(self, address: int) -> int | None:
        """The doubleword at an address; None where not all of it is RAM. Nothing is allocated."""
        data = self.read(address, WORD_BYTES)
        return int.from_bytes(data, "little") if len(data) == WORD_BYTES else None

    def read(self, address: int, length: int) -> bytes:
        """Bytes, as far as there is RAM."""
        parts: list[bytes] = []
        while length > 0:
            size = min(length, PAGE_SIZE - address % PAGE_SIZE)
            gpa = self.gpa(address)
            if gpa is None or not self._ram.contains(gpa, size):
                break
            parts.append(self._ram.read(gpa, size))
            address, length = address + size, length - size
        return b"".join(parts)

    def text(self, address: int) -> str:
        """The string at an address, quoted and cut off with an ellipsis if it is long; empty if there is none."""
        data = self.read(address, MOST_TEXT + 1)
        text, end, _ = data.partition(b"\0")
        is_cut = not end and len(data) > MOST_TEXT
        if len(text) < LEAST_TEXT or not (end or is_cut) or not all(_is_text(byte) for byte in text):
            return ""
        shown = "".join(_ESCAPES.get(byte, chr(byte)) for byte in text[:MOST_TEXT])
        return f'"{shown}"' + ("…" if is_cut else "")


def _is_text(byte: int) -> bool:
    return 0x20 <= byte < 0x7F or byte in _ESCAPES
