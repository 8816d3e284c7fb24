"""`hartvisor asm`: assembly text to code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ...core.errors import OptionError
from ...core.isa.assembler import Program, assemble
from ...core.machine.elf_writer import elf_file
from ..options import parse_number, write_json
from ..parameters import JsonOption

KERNEL_BASE = "0x80200000"


SourceArgument = Annotated[str, typer.Argument(metavar="FILE", help="Assembly source; - is standard input.")]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="An ELF file for `hartvisor run` (flat code if FILE ends in .bin)."
    ),
]
BaseOption = Annotated[str, typer.Option("--base", metavar="ADDRESS", help="Address of the first byte.")]


def asm(
    source: SourceArgument,
    output: OutputOption = None,
    base: BaseOption = KERNEL_BASE,
    json: JsonOption = None,
) -> None:
    """Assemble FILE. Without --output, print a listing: address, bytes, source line."""
    text, name = _read(source)
    start = parse_number(base, "--base")
    program = assemble(text, start, file=name)
    if output is not None:
        data = program.code if output.suffix == ".bin" else elf_file(program.code, start, start, program.symbols)
        try:
            output.write_bytes(data)
        except OSError as error:
            raise OptionError(f"--output {output}: {error.strerror}") from error
    if json is not None:
        lines = {str(address): line for address, line in program.lines.items()}
        symbols = dict(program.symbols)
        write_json(json, {"base": program.base, "code": program.code.hex(), "symbols": symbols, "lines": lines})
    elif output is None:
        _print_listing(program, text.splitlines())


def _read(source: str) -> tuple[str, str]:
    if source == "-":
        return sys.stdin.read(), "<stdin>"
    try:
        return Path(source).read_text(encoding="utf-8"), source
    except OSError as error:
        raise OptionError(f"{source}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise OptionError(f"{source}: not text (byte {error.start} is not UTF-8); assembly source is needed") from error


def _print_listing(program: Program, lines: list[str]) -> None:
    starts = sorted(program.lines)
    for start, end in zip(starts, [*starts[1:], program.base + len(program.code)], strict=True):
        code = program.code[start - program.base : end - program.base]
        shown = code.hex(" ", 2) if len(code) <= 8 else code[:8].hex(" ", 2) + " …"
        print(f"{start:#012x}  {shown:<22}  {lines[program.lines[start] - 1].strip()}")
