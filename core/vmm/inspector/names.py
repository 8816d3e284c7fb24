"""What a user types to name an address."""

from __future__ import annotations

import re
from typing import Final

from ...errors import ConfigError
from ...isa.csrs import BY_NAME
from ...isa.registers import NUMBER
from .inspector import Inspector

_SUM = re.compile(r"\s*(.+?)\s*([+-])\s*(0[xX][0-9a-fA-F]+|\d+)\s*")
_LINE = re.compile(r"(.+\.\w+):(\d+)")
_HEX = re.compile(r"(?=.*[a-fA-F])[0-9a-fA-F]{8,16}")
MASK: Final = (1 << 64) - 1


def resolve(inspector: Inspector, text: str) -> int:
    """The address that `text` names: a number, a register's or CSR's value, a symbol of the kernel or of the program
    that runs, a source line (`main.c:38`), or one of these and an offset. Raises ConfigError."""
    text = text.strip().lstrip("*&")
    try:
        return int(text.replace("_", ""), 0) & MASK
    except ValueError:
        pass
    found = _named(inspector, text)
    if found is None:
        found = _line(inspector, text)
    if found is not None:
        return found
    match = _SUM.fullmatch(text)
    if match is not None:
        offset = int(match[3], 0)
        return resolve(inspector, match[1]) + (offset if match[2] == "+" else -offset) & MASK
    if _HEX.fullmatch(text):
        return int(text, 16)
    raise ConfigError(f"{text}: no address, register, symbol or line; such as 0x80200000, sp, main, main+8, main.c:38")


def _named(inspector: Inspector, text: str) -> int | None:
    vcpu, name = inspector.vcpu, text.removeprefix("$")
    if name == "pc":
        return vcpu.hart.pc
    if name in NUMBER:
        return vcpu.hart.read_gpr(NUMBER[name])
    known = inspector.code.known(vcpu)
    found = next((each.addresses[text] for each in known if text in each.addresses), None)
    if found is None and name in BY_NAME:
        try:
            return inspector.target.read_csr(inspector.vcpu_index, BY_NAME[name].number)
        except KeyError:
            raise ConfigError(f"{name}: a guest has no such CSR") from None
    return found


def _line(inspector: Inspector, text: str) -> int | None:
    match = _LINE.fullmatch(text)
    if match is None:
        return None
    path, line = match[1], int(match[2])
    for program in inspector.code.known(inspector.vcpu):
        addresses = program.debug.addresses(path, line)
        if addresses:
            return addresses[0]
    raise ConfigError(f"{text}: no code is known to come from there; the file's name and a line of it are needed, and "
                      "debug data in the image")


def words(inspector: Inspector) -> list[str]:
    """What can be named here, for completion: symbols of the kernel and of the program that runs."""
    return sorted({name for each in inspector.code.known(inspector.vcpu) for name in each.addresses
                   if not name.startswith(("$", ".L"))})
