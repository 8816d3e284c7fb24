"""What GDB asks and what it is told: one debugger's conversation about one target (GDB manual, "Packets", "Stop Reply
Packets", "General Query Packets").

Breakpoints are the host's own, kept by address: no byte of the guest's memory changes for one, so GDB's two kinds are
alike. Time is the guest's: when GDB asks for a step of one hart, the others keep their turns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from ...hart import WATCH_LOADS, WATCH_STORES
from ...isa.registers import ABI, FLOAT_ABI
from ...machine.watching import Hit, Range
from .description import FIRST_FPR, PC
from .monitor import answer
from .packets import PACKET_SIZE, escape, unescape
from .target import ASLEEP, BREAKPOINT, ENDED, GUEST_FAULT, WATCHPOINT, Halt, Target

SIGINT, SIGSEGV, SIGTRAP = 2, 11, 5
OK: Final = b"OK"
UNKNOWN: Final = b""
BAD_REQUEST: Final = b"E01"
NO_MEMORY: Final = b"E14"  # EFAULT
TOO_MANY: Final = b"E28"  # ENOSPC

SOFTWARE, HARDWARE = 0, 1
_U64: Final = (1 << 64) - 1
_WATCHES: Final = {2: (WATCH_STORES, "watch"), 3: (WATCH_LOADS, "rwatch"), 4: (WATCH_LOADS | WATCH_STORES, "awatch")}
"""Types of Z packets: what they look for, and what a hit is called."""

RANGE_STEPS: Final = 1000
"""Steps within a range, as a `next` takes them, between two looks at whether GDB wants to interrupt."""

_FEATURES: Final = (f"PacketSize={PACKET_SIZE:x};qXfer:features:read+;vContSupported+;swbreak+;hwbreak+;"
                    "QStartNoAckMode+;binary-upload+")
_REVERSE: Final = ";ReverseStep+;ReverseContinue+"


class Watch(NamedTuple):
    """A watchpoint as GDB set it: the type of its packet, the address it gave, and where that was then."""

    kind: int
    address: int
    pieces: tuple[tuple[int, int], ...]


class Wish(NamedTuple):
    """How to go on. hart: which steps; None for all going on. end: a step goes on while pc is in [start, end)."""

    hart: int | None = None
    start: int = 0
    end: int = 0


class Killed(Exception):
    """GDB wants the guest gone."""


class Detached(Exception):
    """GDB leaves, and the guest is to go on without it."""


class Stub:
    """The conversation. is_running: the guest was told to go on, and has not stopped since. needs_ack: packets are
    acknowledged, as GDB has it at first. say: how to send something in between."""

    def __init__(self, target: Target, say: Callable[[bytes], None]) -> None:
        self.target = target
        self.is_running = False
        self.needs_ack = True
        self._say = say
        self._hart = 0              # that the next packets are about (H)
        self._last = f"T{SIGTRAP:02x}thread:1;".encode()
        self._is_physical = False
        self._breakpoints: set[tuple[int, int]] = set()         # (type, address)
        self._watches: list[Watch] = []
        self._wish = Wish()
        self._began: tuple[int, int] | None = None              # hart and pc at a resumption that took no step yet
        self._began_at = 0
        self._commands: dict[bytes, Callable[[bytes], bytes | None]] = {
            b"?": lambda _: self._last,
            b"g": self._read_all,
            b"G": self._write_all,
            b"p": self._read_one,
            b"P": self._write_one,
            b"m": self._read_memory,
            b"x": self._read_binary,
            b"M": self._write_memory,
            b"X": self._write_binary,
            b"H": self._select,
            b"T": lambda data: OK if self._thread(data) is not None else BAD_REQUEST,
            b"Z": lambda data: self._change_stop(data, is_wanted=True),
            b"z": lambda data: self._change_stop(data, is_wanted=False),
            b"c": lambda _: self._resume(Wish()),
            b"C": lambda _: self._resume(Wish()),
            b"s": lambda _: self._resume(Wish(self._hart)),
            b"S": lambda _: self._resume(Wish(self._hart)),
            b"b": self._go_back,
            b"v": self._v_packet,
            b"q": self._query,
            b"Q": self._set,
            b"D": self._detach,
            b"k": self._kill,
        }

    # --- the conversation

    def answer(self, packet: bytes) -> bytes | None:
        """The reply to a packet; None if that is the next stop's. Whatever GDB sends, there is a reply. Raises Killed
        and Detached."""
        handler = self._commands.get(packet[:1])
        if handler is None:
            return UNKNOWN
        try:
            return handler(packet[1:])
        except (ValueError, IndexError):
            return BAD_REQUEST

    def leave(self) -> None:
        """The debugger is gone: nothing is to stop for."""
        self._breakpoints.clear()
        self._watches.clear()
        self.target.stop_at((), ())
        self._wish = Wish()

    def interrupt(self) -> bytes:
        """Stop here, because the user wants it."""
        return self._stopped(Halt("", self._hart))

    def end(self) -> bytes:
        """Stop here, because this is as far as the run may go."""
        return self._stopped(Halt("", self._hart), SIGTRAP, "replaylog:end;")

    # --- going on

    def _resume(self, wish: Wish) -> None:
        self._wish = wish
        self._began = self._hart, self.target.harts[self._hart].pc
        self._began_at = self.target.steps
        self.is_running = True

    def run(self, budget: int) -> tuple[Halt | None, bytes | None]:
        """Go on for up to `budget` steps as GDB wished: why it went no further, and what to tell GDB of it. A guest
        that is asleep goes on being so."""
        halt = self._run(budget)
        if halt is not None and halt.reason == BREAKPOINT and self._is_still_there(halt):
            halt = self._run(budget)        # going on from a breakpoint leads past it
        if halt is None or halt.reason == ASLEEP:
            return halt, None
        return halt, self._stopped(halt)

    def _is_still_there(self, halt: Halt) -> bool:
        return self.target.steps == self._began_at and self._began == (halt.hart, self.target.harts[halt.hart].pc)

    def _run(self, budget: int) -> Halt | None:
        wish, target = self._wish, self.target
        if wish.hart is None:
            return target.run(budget)
        for _ in range(RANGE_STEPS):
            halt = target.step(wish.hart, budget)
            if halt is None or halt.reason != "CHANGED" or not wish.start <= target.harts[wish.hart].pc < wish.end:
                return halt
        return None

    def _go_back(self, data: bytes) -> bytes:
        if self.target.timeline is None or data not in (b"s", b"c"):
            return UNKNOWN
        if data == b"s":
            if self.target.reverse_step(self._hart):
                return self._stopped(Halt("CHANGED", self._hart))
        else:
            halt = self.target.reverse_continue()
            if halt is not None:
                return self._stopped(halt)
        return self._stopped(Halt("", self._hart), SIGTRAP, "replaylog:begin;")

    def _stopped(self, halt: Halt, signal: int | None = None, why: str = "") -> bytes:
        """The stop reply."""
        self.is_running = False
        self._hart = halt.hart
        if halt.reason == ENDED and self.target.timeline is None:
            self._last = b"W%02x" % halt.status
            return self._last
        if halt.reason == ENDED:        # where it was before can still be looked at
            signal, why = SIGTRAP, "replaylog:end;"
        if halt.reason in (ENDED, GUEST_FAULT):
            self._say(b"O" + f"{halt.detail}\n".encode().hex().encode())
        if signal is None:
            signal = {GUEST_FAULT: SIGSEGV, "": SIGINT}.get(halt.reason, SIGTRAP)
        if halt.reason == BREAKPOINT:
            pc = self.target.harts[halt.hart].pc
            why = "swbreak:;" if (SOFTWARE, pc) in self._breakpoints else "hwbreak:;"
        elif halt.reason == WATCHPOINT and halt.hit is not None:
            why = self._watch_reply(halt.hit)
        self._last = f"T{signal:02x}{why}thread:{halt.hart + 1:x};".encode()
        return self._last

    def _watch_reply(self, hit: Hit) -> str:
        """Which watchpoint was hit, and at which address as GDB knows it: of several, one whose bytes have changed, for
        GDB does not ask about the others."""
        kind_of_access = WATCH_STORES if hit.is_store else WATCH_LOADS
        end = hit.address + hit.size
        hits = []
        for watch in self._watches:
            wanted, name = _WATCHES[watch.kind]
            address = watch.address
            for gpa, size in watch.pieces:
                first, last = max(gpa, hit.address), min(gpa + size, end)
                if first < last and wanted & kind_of_access:
                    bits = (1 << 8 * (last - first)) - 1 << 8 * (first - hit.address)
                    is_same = not (hit.before ^ hit.after) & bits
                    hits.append((is_same, f"{name}:{address + first - gpa:x};"))
                address += size
        return min(hits, key=lambda each: each[0])[1] if hits else ""

    # --- threads

    def _thread(self, text: bytes) -> int | None:
        """A hart by GDB's number, which is one more; 0 and -1 stand for any."""
        number = int(text, 16)
        if number in (0, -1):
            return self._hart
        return number - 1 if 1 <= number <= len(self.target.harts) else None

    def _select(self, data: bytes) -> bytes:
        hart = self._thread(data[1:])
        if hart is None:
            return BAD_REQUEST
        self._hart = hart
        return OK

    # --- registers

    def _read_all(self, _: bytes) -> bytes:
        count = FIRST_FPR + (len(FLOAT_ABI) if self.target.has_float else 0)
        values = (self.target.read_register(self._hart, number) or 0 for number in range(count))
        return b"".join(_to_hex(value) for value in values)

    def _write_all(self, data: bytes) -> bytes:
        values = bytes.fromhex(data.decode("ascii"))
        if len(values) < 8 * (len(ABI) + 1) or len(values) % 8:
            return BAD_REQUEST
        for number in range(len(values) // 8):
            self.target.write_register(self._hart, number, int.from_bytes(values[8 * number:8 * number + 8], "little"))
        return OK

    def _read_one(self, data: bytes) -> bytes:
        value = self.target.read_register(self._hart, int(data, 16))
        return BAD_REQUEST if value is None else _to_hex(value)

    def _write_one(self, data: bytes) -> bytes:
        number, value = data.split(b"=")
        written = self.target.write_register(
            self._hart, int(number, 16), int.from_bytes(bytes.fromhex(value.decode("ascii"))[:8], "little"))
        return OK if written else BAD_REQUEST

    # --- memory

    def _peek(self, data: bytes, limit: int) -> bytes:
        address, length = _numbers(data)
        return self.target.read(self._hart, address, min(length, limit), self._is_physical)

    def _read_memory(self, data: bytes) -> bytes:
        found = self._peek(data, PACKET_SIZE // 2)
        return found.hex().encode() if found or data.endswith(b",0") else NO_MEMORY

    def _read_binary(self, data: bytes) -> bytes:
        found = self._peek(data, PACKET_SIZE // 2 - 1)
        return b"b" + escape(found) if found or data.endswith(b",0") else NO_MEMORY

    def _poke(self, place: bytes, data: bytes) -> bytes:
        address, length = _numbers(place)
        if len(data) != length:
            return BAD_REQUEST
        return OK if not data or self.target.write(self._hart, address, data, self._is_physical) else NO_MEMORY

    def _write_memory(self, data: bytes) -> bytes:
        place, content = data.split(b":", 1)
        return self._poke(place, bytes.fromhex(content.decode("ascii")))

    def _write_binary(self, data: bytes) -> bytes:
        place, content = data.split(b":", 1)
        return self._poke(place, unescape(content))

    # --- what to stop for

    def _change_stop(self, data: bytes, *, is_wanted: bool) -> bytes:
        kind, address, length = _numbers(data.split(b";")[0])
        before = set(self._breakpoints), list(self._watches)
        if kind in (SOFTWARE, HARDWARE):
            self._breakpoints.discard((kind, address))
            if is_wanted:
                self._breakpoints.add((kind, address))
        elif kind in _WATCHES:
            self._watches = [watch for watch in self._watches if watch[:2] != (kind, address)
                             or sum(size for _, size in watch.pieces) != length]
            if is_wanted:
                pieces = tuple(self.target.place(self._hart, address, length, self._is_physical))
                if not length or sum(size for _, size in pieces) != length:
                    return NO_MEMORY
                self._watches.append(Watch(kind, address, pieces))
        else:
            return UNKNOWN
        ranges: list[Range] = [(gpa, size, _WATCHES[watch.kind][0])
                               for watch in self._watches for gpa, size in watch.pieces]
        if not self.target.stop_at((address for _, address in self._breakpoints), ranges):
            self._breakpoints, self._watches = before
            return TOO_MANY
        return OK

    # --- packets with names

    def _v_packet(self, data: bytes) -> bytes | None:
        if data == b"Cont?":
            return b"vCont;c;C;s;S;t;r"
        if data.startswith(b"Cont;"):
            return self._continue(data[5:])
        if data.startswith(b"Kill"):
            self._say(OK)
            raise Killed
        return UNKNOWN

    def _continue(self, data: bytes) -> bytes | None:
        """vCont: the first action that names a hart to step decides, else all go on."""
        wish = Wish()
        for action in data.split(b";"):
            what, _, thread = action.partition(b":")
            hart = self._thread(thread) if thread else self._hart
            if hart is None:
                return BAD_REQUEST
            if what[:1] == b"t":
                return self.interrupt()
            if what[:1] in (b"s", b"S"):
                wish = Wish(hart)
            elif what[:1] == b"r":
                start, end = _numbers(what[1:])
                wish = Wish(hart, start, end)
            elif what[:1] not in (b"c", b"C"):
                return BAD_REQUEST
            if wish.hart is not None:
                self._hart = wish.hart
                break
        self._resume(wish)
        return None

    def _query(self, data: bytes) -> bytes | None:
        if data.startswith(b"Supported"):
            return (_FEATURES + (_REVERSE if self.target.timeline is not None else "")).encode()
        if data.startswith(b"Xfer:features:read:target.xml:"):
            offset, length = _numbers(data.rsplit(b":", 1)[1])
            return _part(self.target.description.encode(), offset, length)
        if data == b"fThreadInfo":
            return b"m" + b",".join(b"%x" % (index + 1) for index in range(len(self.target.harts)))
        if data.startswith(b"ThreadExtraInfo,"):
            hart = self._thread(data.split(b",")[1])
            return BAD_REQUEST if hart is None else self._describe(hart).encode().hex().encode()
        if data.startswith(b"Rcmd,"):
            return self._monitor(bytes.fromhex(data[5:].decode("ascii")).decode("utf-8", "replace"))
        fixed = {b"sThreadInfo": b"l", b"C": b"QC%x" % (self._hart + 1), b"Attached": b"1", b"Symbol::": OK,
                 b"qemu.PhyMemMode": b"1" if self._is_physical else b"0"}
        return fixed.get(data, UNKNOWN)

    def _describe(self, hart: int) -> str:
        return f"hart {hart}, {self.target.mode_name(hart)}-mode" + (", asleep" if self.target.is_asleep(hart) else "")

    def _monitor(self, text: str) -> bytes:
        reply = answer(self.target, self._hart, text).encode().hex().encode()
        for start in range(0, len(reply), PACKET_SIZE // 2):
            self._say(b"O" + reply[start:start + PACKET_SIZE // 2])
        return OK

    def _set(self, data: bytes) -> bytes:
        if data == b"StartNoAckMode":
            self.needs_ack = False      # from the packet after this reply's
            return OK
        if data.startswith(b"qemu.PhyMemMode:"):
            self._is_physical = data.endswith(b"1")
            return OK
        return UNKNOWN

    def _detach(self, _: bytes) -> bytes:
        self._say(OK)
        raise Detached

    def _kill(self, _: bytes) -> bytes:
        raise Killed


def _numbers(text: bytes) -> list[int]:
    """Hexadecimal numbers of 64 bits, with commas between them."""
    return [int(part, 16) & _U64 for part in text.split(b",")]


def _to_hex(value: int) -> bytes:
    """A register as packets have it: eight bytes, the lowest first."""
    return value.to_bytes(8, "little").hex().encode()


def _part(text: bytes, offset: int, length: int) -> bytes:
    """A part of an object that GDB transfers: l before the last, m before others."""
    size = min(length, PACKET_SIZE // 2)
    return (b"m" if offset + size < len(text) else b"l") + escape(text[offset:offset + size])


assert len(ABI) == PC
