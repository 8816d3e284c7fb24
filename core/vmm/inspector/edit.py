"""Changes by hand: a register or CSR gets the value that the user types, and what followed is another future."""

from __future__ import annotations

import struct
from contextlib import suppress

from ...errors import ConfigError
from ...isa.csrs import BY_NAME, BY_NUMBER
from ...isa.registers import ABI, FLOAT_ABI, FLOAT_NUMBER, NUMBER
from ..gdb.description import FIRST_CSR, FIRST_FPR, PC
from .inspector import Inspector
from .names import MASK, resolve


def register_number(name: str) -> int:
    """A debugger's number for a register's or CSR's name. Raises ConfigError."""
    plain = name.removeprefix("$")
    if plain == "pc":
        return PC
    if plain in NUMBER:
        return NUMBER[plain]
    if plain in FLOAT_NUMBER:
        return FIRST_FPR + FLOAT_NUMBER[plain]
    if plain in BY_NAME:
        return FIRST_CSR + BY_NAME[plain].number
    raise ConfigError(f"{name}: no register or CSR; such as a0, x10, pc, fa0, sstatus")


def register_name(number: int) -> str:
    """The name by which people know a debugger's number."""
    if number < PC:
        return ABI[number]
    if number == PC:
        return "pc"
    return FLOAT_ABI[number - FIRST_FPR] if number < FIRST_FPR + 32 else BY_NUMBER[number - FIRST_CSR].name


def set_register(inspector: Inspector, number: int, text: str) -> str:
    """Give a register of the vCPU looked at the value that `text` says: an address as elsewhere, or, for an f register,
    a number with a point. What came of it, for people: a CSR keeps only what is legal. Raises ConfigError."""
    name, index, target = register_name(number), inspector.vcpu_index, inspector.target
    value = _value(inspector, number, text)
    if number == 0:
        raise ConfigError("zero is always 0")
    if number == PC and value & 1:
        raise ConfigError(f"pc {value:#x}: instructions start at even addresses")
    if target.read_register(index, number) is None:
        raise ConfigError(f"{name}: this guest has no such register")
    inspector.begin_move()
    if not target.write_register(index, number, value):
        raise ConfigError(f"{name} cannot be written: what it shows is counted, or follows from other state")
    now = target.read_register(index, number)
    if now == value:
        return f"{name} is {value:#x} now"
    return f"{name} is {now:#x} now: of {value:#x} it keeps what is legal (WARL)"


def _value(inspector: Inspector, number: int, text: str) -> int:
    if FIRST_FPR <= number < FIRST_CSR and any(mark in text.lower() for mark in (".", "e", "nan", "inf")) \
            and not text.lower().startswith("0x"):
        with suppress(ValueError):
            return int.from_bytes(struct.pack("<d", float(text)), "little")
    return resolve(inspector, text) & MASK
