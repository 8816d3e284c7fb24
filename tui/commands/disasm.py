"""`hartvisor disasm`: code to assembly text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from ...core.errors import OptionError
from ...core.isa.decoder import length
from ...core.isa.disassembler import disassemble
from ...core.machine.loader import CodeRange, Image, load_image
from ..options import find_image, parse_number, write_json
from ..parameters import JsonOption

FileArgument = Annotated[
    str, typer.Argument(metavar="FILE", help="An ELF file, a shipped guest's name, or flat code with --raw.")
]
RawOption = Annotated[
    str | None, typer.Option("--raw", metavar="ADDRESS", help="FILE is flat code for this address, not an ELF file.")
]
SymbolOption = Annotated[str | None, typer.Option("--symbol", metavar="NAME", help="Only this function.")]
StartOption = Annotated[str | None, typer.Option("--start", metavar="ADDRESS", help="Only from this address.")]
StopOption = Annotated[str | None, typer.Option("--stop", metavar="ADDRESS", help="Only below this address.")]


def disasm(
    image: FileArgument,
    raw: RawOption = None,
    symbol: SymbolOption = None,
    start: StartOption = None,
    stop: StopOption = None,
    no_aliases: Annotated[bool, typer.Option("--no-aliases", help="Print addi x0, x0, 0 rather than nop.")] = False,
    numeric: Annotated[bool, typer.Option("--numeric", help="Print x10 rather than a0.")] = False,
    json: JsonOption = None,
) -> None:
    """Disassemble the code of FILE, with its symbols, in objdump's notation."""
    ranges, symbols = _read(image, raw)
    first = parse_number(start, "--start") if start is not None else 0
    last = parse_number(stop, "--stop") if stop is not None else 1 << 64
    if symbol is not None:
        if symbol not in symbols:
            raise OptionError(f"--symbol {symbol}: {image} has no such symbol")
        first = symbols[symbol]
        last = min((address for address in symbols.values() if address > first), default=1 << 64)
    names: dict[int, str] = {}
    for name, address in symbols.items():
        names.setdefault(address, name)
    rows = (
        (address, insn, disassemble(insn, address, aliases=not no_aliases, numeric=numeric))
        for code in ranges
        for address, insn in _instructions(code)
        if first <= address < last
    )
    if json is not None:
        write_json(json, {"instructions": [
            {"address": address, "bits": insn, "length": length(insn), "text": text, "symbol": names.get(address)}
            for address, insn, text in rows]})
        return
    for address, insn, text in rows:
        if address in names:
            print(f"\n{address:016x} <{names[address]}>:")
        digits = 2 * length(insn)
        print(f"{address:12x}:  {insn:0{digits}x}{' ' * (10 - digits)}{text}{_target(text, names)}")


def _target(text: str, names: dict[int, str]) -> str:
    """The symbol that a branch's or jump's target stands at, as objdump shows it."""
    last = text.rpartition(" ")[2].rpartition(",")[2]
    if not last.startswith("0x"):
        return ""
    name = names.get(int(last, 16))
    return f" <{name}>" if name else ""


def _read(image: str, raw: str | None) -> tuple[tuple[CodeRange, ...], dict[str, int]]:
    path, _ = find_image(image) if raw is None else (Path(image), None)
    if raw is None:
        loaded: Image = load_image(path)
        return loaded.code_ranges, loaded.symbols
    try:
        return (CodeRange(parse_number(raw, "--raw"), path.read_bytes()),), {}
    except OSError as error:
        raise OptionError(f"{image}: {error.strerror}") from error


def _instructions(code: CodeRange) -> Iterator[tuple[int, int]]:
    """(address, bits) of one instruction after the other; a cut-off end comes out as what is left of it."""
    offset = 0
    while offset + 2 <= len(code.data):
        half = int.from_bytes(code.data[offset : offset + 2], "little")
        size = length(half)
        if offset + size > len(code.data):
            size = 2
        yield code.address + offset, int.from_bytes(code.data[offset : offset + size], "little")
        offset += size
