"""`hartvisor trace`: a recorded trace as text, JSON lines, or a timeline."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ...core.errors import OptionError
from ...core.machine.symbols import read_symbols_file
from ...core.vmm.trace.events import KINDS
from ...core.vmm.trace.lines import json_formatter, text_formatter
from ...core.vmm.trace.perfetto import timeline
from ...core.vmm.trace.reader import NO_LIMIT, TraceFile, parse_kinds
from ..observing import SymbolsOption
from ..options import parse_number


class FormatName(StrEnum):
    """What --format takes."""

    TEXT = "text"
    JSONL = "jsonl"
    PERFETTO = "perfetto"


def trace(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Traces that run or machine recorded.")],
    form: Annotated[
        FormatName,
        typer.Option("--format", help="perfetto: a timeline for ui.perfetto.dev, of one trace or of several."),
    ] = FormatName.TEXT,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="OUT", help="Write there, not to standard output.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--kind", metavar="KINDS", help=f"Only these: some of {','.join(KINDS)}.")
    ] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="STEP", help="Only from this step on.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="STEP", help="Only before this step.")] = None,
    vcpu: Annotated[int | None, typer.Option("--vcpu", metavar="N", help="Only this vCPU or hart.")] = None,
    symbols: SymbolsOption = None,
) -> None:
    """Show what FILE recorded, step by step: as text with disassembly, as JSON lines, or as a Perfetto timeline.

    A file that was cut off is shown up to there, and a line on standard error says where.
    """
    kinds = parse_kinds(kind, "--kind") if kind is not None else frozenset(KINDS)
    start = parse_number(first, "--from") if first is not None else 0
    end = parse_number(last, "--to") if last is not None else NO_LIMIT
    if len(files) > 1 and form is not FormatName.PERFETTO:
        raise OptionError(f"--format {form.value} shows one trace; --format perfetto puts several side by side")
    traces = [TraceFile(path) for path in files]
    for each in traces:
        missing = sorted(kinds - each.kinds) if kind is not None else []
        if missing:
            raise OptionError(f"--kind {kind}: {each.path} has no {missing[0]}; it was recorded with --trace "
                              f"{','.join(sorted(each.kinds))}")
        if vcpu is not None and not 0 <= vcpu < each.harts:
            raise OptionError(f"--vcpu {vcpu}: those of {each.path} are 0 to {each.harts - 1}")
    if symbols is not None:
        for each in traces:
            each.symbols = read_symbols_file(symbols)
    if form is FormatName.PERFETTO:
        pieces: Iterable[str] = timeline(traces, kinds, start, end, vcpu)
    else:
        only = traces[0]
        line = json_formatter(only.symbols) if form is FormatName.JSONL else text_formatter(only.symbols, only.harts)
        pieces = (line(event) + "\n" for event in only.events(kinds, start, end, vcpu))
    _write(out, pieces)
    for each in traces:
        if each.cut is not None:
            print(f"hartvisor: {each.path}: cut off at byte {each.cut:,}: shown up to step {each.last_step:,}",
                  file=sys.stderr)


def _write(out: Path | None, pieces: Iterable[str]) -> None:
    """All pieces to the file, which is there only once it is whole, or to standard output. Raises OptionError."""
    if out is None:
        sys.stdout.writelines(pieces)
        return
    partial = out.with_name(out.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            try:
                file.writelines(pieces)
            except BaseException:
                partial.unlink()
                raise
        partial.replace(out)
    except OSError as error:
        raise OptionError(f"-o {out}: {error.strerror}") from error
