"""What a user types to name an address."""

from __future__ import annotations

import re

from ...errors import ConfigError
from ...isa.registers import NUMBER
from .inspector import Inspector

_SUM = re.compile(r"\s*(.+?)\s*([+-])\s*(0[xX][0-9a-fA-F]+|\d+)\s*")
MASK = (1 << 64) - 1


def resolve(inspector: Inspector, text: str) -> int:
    """The address that `text` names: a number, a register's value, a symbol, or one of these and an offset. Raises
    ConfigError."""
    text = text.strip().lstrip("*&")
    try:
        return int(text.replace("_", ""), 0) & MASK
    except ValueError:
        pass
    if text == "pc":
        return inspector.vcpu.hart.pc
    if text.lstrip("$") in NUMBER:
        return inspector.vcpu.hart.read_gpr(NUMBER[text.lstrip("$")])
    if inspector.image is not None and text in inspector.image.symbols:
        return inspector.image.symbols[text]
    match = _SUM.fullmatch(text)
    if match is not None:
        offset = int(match[3], 0)
        return resolve(inspector, match[1]) + (offset if match[2] == "+" else -offset) & MASK
    raise ConfigError(f"{text}: no address, register or symbol; such as 0x80200000, sp, main, main+8")
