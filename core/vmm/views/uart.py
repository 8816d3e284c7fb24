"""The serial port: its registers, looked at without reading them, and the bytes that last went through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ...devices import uart16550 as uart

if TYPE_CHECKING:
    from ..device_log import ConsoleBytes
    from ..inspector import Inspection

LINES: Final = 200
"""Lines of the log that a view has, at most."""

PIECES: Final = 4000
"""Pieces of output that these are made from; a driver writes byte by byte."""

LONGEST: Final = 48
"""Bytes of a line of the log, if nothing else is wanted."""

BITS: Final[dict[str, tuple[tuple[int, str], ...]]] = {
    "IER": ((uart.IER_RDA, "received data"), (uart.IER_THRE, "transmitter empty"), (uart.IER_LINE, "line status"),
            (uart.IER_MODEM, "modem status")),
    "FCR": ((uart.FCR_ENABLE, "FIFOs on"),),
    "LCR": ((uart.LCR_DLAB, "divisor latch"),),
    "MCR": ((uart.MCR_DTR, "DTR"), (uart.MCR_RTS, "RTS"), (uart.MCR_OUT1, "OUT1"), (uart.MCR_OUT2, "OUT2"),
            (uart.MCR_LOOP, "loopback")),
    "LSR": ((uart.LSR_DR, "data ready"), (uart.LSR_OE, "overrun"), (uart.LSR_THRE, "holding register empty"),
            (uart.LSR_TEMT, "transmitter empty")),
    "MSR": ((uart.MSR_DCTS, "CTS changed"), (uart.MSR_DDSR, "DSR changed"), (uart.MSR_TERI, "RI ended"),
            (uart.MSR_DDCD, "DCD changed"), (uart.MSR_CTS, "CTS"), (uart.MSR_DSR, "DSR"), (uart.MSR_RI, "RI"),
            (uart.MSR_DCD, "DCD")),
}
CAUSES: Final = {
    uart.IIR_LINE: "line status", uart.IIR_RDA: "received data", uart.IIR_TIMEOUT: "received data, below the trigger",
    uart.IIR_THRE: "transmitter empty", uart.IIR_MODEM: "modem status", uart.IIR_NONE: "no interrupt",
}
PARITY: Final = {0: "N", 1: "O", 3: "E", 5: "M", 7: "S"}
CLOCK: Final = 3_686_400
"""Hz, as the device tree says; sixteen of its ticks, times the divisor, are a bit."""


@dataclass(frozen=True)
class RegisterRow:
    """A register. text: what its bits mean."""

    name: str
    value: int
    text: str


@dataclass(frozen=True)
class TrafficLine:
    """Bytes in one direction, one line of them. step: the first one's; last: the last one's."""

    step: int
    last: int
    is_written: bool
    data: bytes


@dataclass(frozen=True)
class UartView:
    """registers: by name. waiting: bytes typed that the guest has not read. log: oldest first. is_whole: it has all
    since the start."""

    vm: str
    registers: tuple[RegisterRow, ...]
    waiting: int
    log: tuple[TrafficLine, ...]
    is_whole: bool


def view_uart(inspection: Inspection, longest: int = LONGEST) -> UartView:
    """Of the VM looked at. longest: bytes of a line of the log. The log is the console's: SBI calls write to the same
    terminal."""
    inspector = inspection.inspector
    vm = inspector.vm
    found = vm.board.uart.look()
    registers = tuple(RegisterRow(name, value, _meaning(name, value, found)) for name, value in found.items()
                      if name not in ("received", "DLM"))
    pieces = inspector.devices.console.upto(inspector.step, PIECES)
    lines = traffic(pieces, longest)
    is_whole = len(lines) <= LINES and len(pieces) < PIECES and not inspector.devices.console.dropped
    return UartView(inspector.name, registers, vm.console.typed, tuple(lines[-LINES:]), is_whole)


def traffic(pieces: Sequence[ConsoleBytes], longest: int = LONGEST) -> list[TrafficLine]:
    """Pieces put together: a line ends with a line feed, where the direction changes, and where it is long enough."""
    lines: list[TrafficLine] = []
    line, first, last, direction, is_ended = bytearray(), 0, 0, False, False
    for step, is_written, data in pieces:
        for part in (data,) if len(data) == 1 else _split(data, longest):
            if line and (is_ended or is_written is not direction or len(line) + len(part) > longest):
                lines.append(TrafficLine(first, last, direction, bytes(line)))
                line.clear()
            if not line:
                first, direction = step, is_written
            line += part
            last, is_ended = step, part.endswith(b"\n")
    if line:
        lines.append(TrafficLine(first, last, direction, bytes(line)))
    return lines


def _split(data: bytes, longest: int) -> list[bytes]:
    """At line feeds, and at `longest` bytes."""
    return [line[at : at + longest] for line in data.splitlines(keepends=True) for at in range(0, len(line), longest)]


def _meaning(name: str, value: int, found: dict[str, int]) -> str:
    """A register's bits in words."""
    if name == "IIR":
        fifos = ", FIFOs on" if value & uart.IIR_FIFOS_ON else ""
        return CAUSES.get(value & 0xF, f"cause {value & 0xF}") + fifos
    if name == "DLL":
        divisor = value | found["DLM"] << 8
        return f"divisor {divisor}" + (f": {CLOCK // 16 // divisor:,} baud" if divisor else "")
    words = [text for mask, text in BITS.get(name, ()) if value & mask]
    if name == "FCR" and value & uart.FCR_ENABLE:
        words.append(f"trigger at {uart.TRIGGER_LEVELS[value >> 6]}")
    if name == "LCR":
        words.insert(0, f"{5 + (value & 3)}{PARITY.get(value >> 3 & 7, 'N')}{2 if value & 4 else 1}")
    return ", ".join(words)
