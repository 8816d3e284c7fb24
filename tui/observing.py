"""What `run` and `machine` record of a guest besides its console: traces and profiles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..core.errors import OptionError, TraceError
from ..core.isa.extensions import format_isa
from ..core.machine.call_frames import CallFrames
from ..core.machine.loader import Image
from ..core.machine.machine import Machine
from ..core.machine.symbols import Symbols, read_symbols_file, symbols_of
from ..core.vmm.trace.events import INSN, KINDS
from ..core.vmm.trace.file import Writer
from ..core.vmm.trace.profile import Profile, machine_sample, vm_sample
from ..core.vmm.trace.reader import parse_kinds
from ..core.vmm.trace.recorder import EVERY_STEP, MAX_SLICE, Recorder
from ..core.vmm.vm import Vm
from .options import parse_number
from .session import EndT, Subject

DEFAULT_EVERY = "10000"
TOP = 10

TraceOption = Annotated[
    str | None,
    typer.Option("--trace", metavar="KINDS", help=f"Record a trace of {','.join(KINDS)}, or some of them."),
]
TraceFileOption = Annotated[
    Path | None, typer.Option("--trace-file", metavar="FILE", help="Where to; read it with `hartvisor trace`.")
]
TraceFromOption = Annotated[
    str | None, typer.Option("--trace-from", metavar="STEP", help="From this step of each vCPU's clock on.")
]
TraceToOption = Annotated[str | None, typer.Option("--trace-to", metavar="STEP", help="Before this step.")]
ProfileOption = Annotated[
    Path | None, typer.Option("--profile", metavar="FILE", help="Sample the guest's stack; write folded stacks.")
]
ProfileEveryOption = Annotated[
    str, typer.Option("--profile-every", metavar="N", help="Steps between two samples.")
]
SymbolsOption = Annotated[
    Path | None,
    typer.Option("--symbols", metavar="FILE", help="The guest's symbols: an ELF file, System.map or /proc/kallsyms."),
]


class Observing(NamedTuple):
    """What the options ask for, checked. file, kinds, steps: of a trace. profile: where one goes; every: steps a
    sample."""

    file: Path | None
    kinds: frozenset[str]
    steps: tuple[int, int]
    profile: Path | None
    every: int
    symbols: Path | None


def parse_observing(trace: str | None, trace_file: Path | None, trace_from: str | None, trace_to: str | None,
                    profile: Path | None, profile_every: str, symbols: Path | None) -> Observing:
    """Check the options together. Raises OptionError, or TraceError for kinds that do not exist."""
    if (trace is None) != (trace_file is None):
        raise OptionError("--trace KINDS says what to record and --trace-file FILE where to: give both")
    if trace is None and (trace_from is not None or trace_to is not None):
        raise OptionError("--trace-from and --trace-to bound a trace: give --trace KINDS --trace-file FILE")
    first = parse_number(trace_from, "--trace-from") if trace_from is not None else EVERY_STEP[0]
    last = parse_number(trace_to, "--trace-to") if trace_to is not None else EVERY_STEP[1]
    if first >= last:
        raise OptionError(f"--trace-from {first} --trace-to {last}: there is no step between them")
    every = parse_number(profile_every, "--profile-every")
    if not every:
        raise OptionError("--profile-every 0: it must be at least 1")
    for option, path in (("--trace-file", trace_file), ("--profile", profile)):
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise OptionError(f"{option} {path}: not a file that can be written; give a file in a folder that exists")
    return Observing(trace_file, parse_kinds(trace, "--trace") if trace else frozenset(), (first, last),
                     profile, every, symbols)


class Observed:
    """A VM or machine, observed as the options ask, to the end of a `with` block.

    name, technique: for file and report. images: the first that has symbols gives the guest's, unless --symbols does.
    """

    def __init__(
        self, options: Observing, subject: Vm | Machine, name: str, technique: str, images: list[Image]
    ) -> None:
        self._options = options
        self._subject = subject
        self._recorder: Recorder | None = None
        self._profile: Profile | None = None
        if options.file is None and options.profile is None:
            return
        image, symbols = _with_symbols(images)
        if options.symbols is not None:
            symbols = read_symbols_file(options.symbols)
        if options.file is not None:
            isa = subject.config.isa if isinstance(subject, Vm) else subject.harts[0].isa
            header: dict[str, Any] = {"guest": name, "technique": technique, "harts": len(subject.harts),
                                      "isa": format_isa(isa), "steps_per_tick": subject.steps_per_tick}
            self._recorder = Recorder(options.file, options.kinds, header, options.steps, symbols)
            if isinstance(subject, Vm):
                self._recorder.add_vm(subject)
            else:
                self._recorder.add_machine(subject)
        if options.profile is not None:
            rules = CallFrames(image.file) if image is not None else None
            self._profile = Profile(f"{name} {technique}".replace(";", ":"), symbols, options.every, rules)

    def slices(self, subject: Subject[EndT], run: Callable[[int], EndT]) -> Callable[[int], EndT]:
        """What runs the subject as `run` does, but in slices that end where there is something to do."""
        if self._recorder is None and self._profile is None:
            return run

        def run_in_slices(budget: int) -> EndT:
            end = subject.steps + budget
            while True:
                before = subject.steps
                size = min(MAX_SLICE, end - before)
                if self._profile is not None:
                    size = min(size, self._profile.every - before % self._profile.every)
                stop = run(size)
                if self._recorder is not None:
                    self._recorder.flush()
                if self._profile is not None and not stop.is_over and subject.steps > before \
                        and not subject.steps % self._profile.every:
                    self._sample(self._profile)
                if stop.is_over or subject.steps >= end:
                    return stop

        return run_in_slices

    def _sample(self, profile: Profile) -> None:
        profile.add(vm_sample(self._subject) if isinstance(self._subject, Vm) else machine_sample(self._subject))

    def __enter__(self) -> Observed:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """However the run ended, write what was observed of it. Raises OptionError or TraceError."""
        if self._recorder is not None and not isinstance(error, TraceError):
            self._recorder.close()
        if self._profile is not None:
            assert self._options.profile is not None
            try:
                self._options.profile.write_text(self._profile.folded(), encoding="utf-8")
            except OSError as failed:
                raise OptionError(f"--profile {self._options.profile}: {failed.strerror}") from failed

    def report(self) -> None:
        """What was recorded, on standard error."""
        console = Console(stderr=True, highlight=False)
        if self._recorder is not None:
            print_sizes(console, self._recorder.writer)
        if self._profile is not None:
            print_profile(console, self._profile)


def print_sizes(console: Console, writer: Writer) -> None:
    """What the trace holds, and what a record of each kind costs."""
    names = (INSN, "mem", "exits and irq")
    parts = [f"{writer.records[stream]:,} {name}, {writer.bytes[stream] / writer.records[stream]:.2f} bytes each"
             for stream, name in enumerate(names) if writer.records.get(stream)]
    console.print(f"\n[bold]trace[/bold] {writer.path}: {'; '.join(parts) or 'nothing to record'}")


def print_profile(console: Console, profile: Profile) -> None:
    """The functions that most samples fell into."""
    total = profile.stacks.total()
    console.print(f"\n[bold]profile[/bold]: {total:,} samples, one every {profile.every:,} steps")
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    table.add_column("self", justify="right")
    table.add_column("with callees", justify="right")
    table.add_column("function")
    for name, own, whole in profile.top(TOP):
        table.add_row(f"{own / total:.1%}", f"{whole / total:.1%}", escape(name))
    if total:
        console.print(table)


def _with_symbols(images: list[Image]) -> tuple[Image | None, Symbols]:
    """The first image that has any, and its symbols."""
    for image in images:
        symbols = symbols_of(image)
        if symbols:
            return image, symbols
    return None, Symbols({}, [])
