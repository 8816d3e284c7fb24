"""Events as lines: of text for people, of JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ...isa.causes import EXCEPTION_BY_NUMBER, INTERRUPT_BIT, INTERRUPT_BY_NUMBER, describe
from ...isa.decoder import length
from ...isa.disassembler import disassemble
from ...machine.symbols import Symbols
from .events import MODES, UNKNOWN, Access, Event, ExitEvent, Instruction, TrapEvent, WireEvent, register_name

Formatter = Callable[[Event], str]


@lru_cache(maxsize=1 << 16)
def _disassemble(bits: int, pc: int) -> str:
    return disassemble(bits, pc, aliases=True)


def cause_name(xcause: int) -> str:
    """A cause's short name: STI, STORE_PAGE_FAULT."""
    table = INTERRUPT_BY_NUMBER if xcause & INTERRUPT_BIT else EXCEPTION_BY_NUMBER
    found = table.get(xcause & ~INTERRUPT_BIT)
    return found.name if found is not None else f"cause {xcause & ~INTERRUPT_BIT}"


def text_formatter(symbols: Symbols, harts: int) -> Formatter:
    """Lines for people, with disassembly and symbols; the hart's number where there are several."""

    @lru_cache(maxsize=1 << 16)
    def place(address: int) -> str:
        name = symbols.describe(address)
        return f"{address:x} <{name}>" if name else f"{address:x}"

    def start(event: Event, mode: int | None) -> str:
        which = f"{event.hart:>2} " if harts > 1 else ""
        return f"{event.step:>12} {which}{'' if mode is None else MODES[mode]:<2} "

    def line(event: Event) -> str:
        match event:
            case Instruction():
                bits = f"{event.bits:0{2 * length(event.bits)}x}"
                text = f"{place(event.pc):<34} {bits:<8}  {_disassemble(event.bits, event.pc)}"
                if event.register:
                    text = f"{text:<76} {register_name(event.register)} = {event.value:#x}"
                return start(event, event.mode) + text
            case Access():
                what = "store" if event.is_store else "load"
                pa = "" if event.pa in (event.va, UNKNOWN) else f" at {event.pa:x}"
                return start(event, event.mode) + f"  {what} {event.size} {event.va:x}{pa} = {event.value:#x}"
            case ExitEvent():
                text = f"exit {event.reason}, pc {place(event.pc)}"
                if event.cause is not None:
                    text += f", {describe(event.cause).lower()}, tval {event.tval:#x}"
                if event.address:
                    text += f", gpa {event.address:#x}"
                if event.insn:
                    text += f": {_disassemble(event.insn, event.pc)}"
                return start(event, event.mode) + text
            case TrapEvent():
                who = ", delivered by the hypervisor" if event.by_hypervisor else ""
                return start(event, event.mode) + (
                    f"trap {describe(event.cause).lower()}, pc {place(event.pc)}, tval {event.tval:#x}, "
                    f"to {MODES[event.target]} {place(event.handler)}{who}")
            case WireEvent():
                is_pending = "pending" if event.level else "no longer pending"
                return start(event, None) + f"irq  {describe(event.interrupt | INTERRUPT_BIT).lower()} {is_pending}"

    return line


def json_formatter(symbols: Symbols) -> Formatter:
    """A JSON object a line: step, hart and kind, then what its kind has. Addresses and values are hexadecimal strings,
    since many readers of JSON keep no more than 53 bits of a number."""

    def facts(event: Event) -> dict[str, Any]:
        match event:
            case Instruction():
                found = {"kind": "insn", "pc": hex(event.pc), "bits": hex(event.bits), "mode": MODES[event.mode],
                         "text": _disassemble(event.bits, event.pc)}
                if event.register:
                    found |= {"register": register_name(event.register), "value": hex(event.value)}
                return found
            case Access():
                return {"kind": "store" if event.is_store else "load", "pc": hex(event.pc), "va": hex(event.va),
                        "pa": None if event.pa == UNKNOWN else hex(event.pa), "size": event.size,
                        "value": hex(event.value), "mode": MODES[event.mode]}
            case ExitEvent():
                return {"kind": "exit", "reason": event.reason, "pc": hex(event.pc), "mode": MODES[event.mode],
                        "cause": event.cause, "tval": hex(event.tval), "gpa": hex(event.address),
                        "bits": hex(event.insn), "verdict": verdict(event)}
            case TrapEvent():
                return {"kind": "trap", "cause": cause_name(event.cause),
                        "interrupt": bool(event.cause & INTERRUPT_BIT), "pc": hex(event.pc),
                        "tval": hex(event.tval), "mode": MODES[event.mode],
                        "to": MODES[event.target], "handler": hex(event.handler),
                        "by": "hypervisor" if event.by_hypervisor else "hart"}
            case WireEvent():
                return {"kind": "irq", "interrupt": cause_name(event.interrupt | INTERRUPT_BIT), "level": event.level}

    def line(event: Event) -> str:
        found = {"step": event.step, "hart": event.hart, **facts(event)}
        if not isinstance(event, WireEvent):
            symbol = symbols.describe(event.pc)
            if symbol:
                found["symbol"] = symbol
        return json.dumps(found, separators=(",", ":"))

    return line


def verdict(event: ExitEvent) -> str:
    """What the hypervisor did: the guest never knows, or got the trap as its own."""
    return "reflected" if event.reason.startswith("reflected") else "handled"
