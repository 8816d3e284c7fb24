"""Runs a batch of programs on our machine and on QEMU, and compares the logs."""

from __future__ import annotations

import mmap
import struct
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hartvisor.core.hart import op_names
from hartvisor.core.isa.csrs import BY_NAME
from hartvisor.core.isa.instructions import INSTRUCTIONS

from .qemu_deviations import Deviation, Deviations
from .qemu_evidence import Entry
from .qemu_layout import (
    ENTRY_NAMES,
    ENTRY_SIZE,
    FINAL_NAMES,
    INDEX,
    LOG_HEAD,
    LOG_SIZE,
    LOGS,
    MAX_PROGRAMS,
    MAX_TRAPS,
    RAM,
    RAM_SIZE,
    TRAPS,
    VARIABLES,
    Program,
)
from .qemu_ours import Log, Run, place, run_ours

PATIENCE = 60.0  # seconds for QEMU to run a batch, many times what it takes, on a busy machine too


@dataclass
class Difference:
    """Where two logs of a program differ first: after trap `entry` (-1: the final state), in which fields: (ours,
    QEMU's)."""

    program: Program
    entry: int
    fields: dict[str, tuple[int, int]]


@dataclass
class BatchResult:
    """What comparing batches gave. compared: programs that ran on both. cut: those of them whose comparison a known
    deviation ended early. instructions: the programs' own that our hart retired before the end of their comparison; no
    instruction of the harness. endless: programs that never come to M-mode on our machine, or spoil the harness."""

    compared: int = 0
    cut: int = 0
    instructions: int = 0
    endless: int = 0
    differences: list[Difference] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)

    def add(self, other: Verdict | BatchResult) -> None:
        """Add what comparing one more program, or batch, gave."""
        if isinstance(other, Verdict):
            other = BatchResult(
                1, other.is_cut, other.instructions, 0, [other.difference] if other.difference else [],
                Counter(case.name for case in other.met),
            )  # fmt: skip
        self.compared += other.compared
        self.cut += other.cut
        self.instructions += other.instructions
        self.endless += other.endless
        self.differences += other.differences
        self.met += other.met


def qemu_cpu() -> str:
    """QEMU's -cpu that has what our hart has, and no more."""
    base = (
        "m",
        "a",
        "c",
        "s",
        "u",
        "h",
        "zicsr",
        "zifencei",
        "zicntr",
        "zihpm",
        "mmu",
        "sv39",
        "sv48",
        "sv57",
        "svade",
        "svadu",
        "svnapot",
        "svpbmt",
        "pmp",
    )
    executed = set(op_names())
    present = {row.extension.lower() for row in INSTRUCTIONS if (row.expands or row.name) in executed}
    names = [*base, *sorted(present & OPTIONS), *(option for name, option in CSR_OPTIONS.items() if name in BY_NAME)]
    return ",".join(["rv64i", "pmu-mask=0xfffffff8", *(f"{name}=on" for name in names)])


OPTIONS = frozenset((
    "f", "d", "zfhmin", "zfh", "zfa", "zba", "zbb", "zbc", "zbs", "zicond", "zicbom", "zicbop", "zicboz", "zcb",
    "zimop", "zcmop", "zacas", "zawrs", "svinval", "zihintntl", "zihintpause",
))  # fmt: skip
"""QEMU's options for what our instruction table may have beyond the base."""


CSR_OPTIONS = {"stimecmp": "sstc", "mstateen0": "smstateen", "scountovf": "sscofpmf"}
"""A CSR that our table may have to QEMU's option for it."""


def run_qemu(program: str, image: bytes, count: int) -> tuple[bytes, int | None]:
    """Run a batch on QEMU, its RAM a file that we share. Returns the logs, and the program that did not end, if any,
    whose log is as far as it got."""
    with tempfile.TemporaryDirectory() as folder:
        ram = Path(folder) / "ram"
        with ram.open("w+b") as file:
            file.truncate(RAM_SIZE)
            file.write(image)
            file.flush()
            command = [
                program,
                "-M",
                "virt,memory-backend=ram",
                "-cpu",
                qemu_cpu(),
                "-m",
                f"{RAM_SIZE >> 20}M",
                "-bios",
                "none",
                "-object",
                f"memory-backend-file,id=ram,size={RAM_SIZE},mem-path={ram},share=on",
                "-display",
                "none",
                "-monitor",
                "none",
                "-serial",
                "none",
                "-nic",
                "none",
            ]
            hung = None
            try:
                done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
                if done.returncode:
                    raise RuntimeError(f"QEMU ended with status {done.returncode}: {done.stderr[:2000]}")
            except subprocess.TimeoutExpired:
                hung = -1
            with mmap.mmap(file.fileno(), RAM_SIZE, prot=mmap.PROT_READ) as memory:
                logs = bytearray(memory[LOGS - RAM : LOGS - RAM + count * LOG_SIZE])
                if hung is not None:
                    hung = _variable(memory, INDEX) - 1
                    struct.pack_into("<Q", logs, hung * LOG_SIZE, _variable(memory, TRAPS))
                return bytes(logs), hung


def _variable(memory: mmap.mmap, index: int) -> int:
    """One of the harness's variables."""
    value: int = struct.unpack_from("<Q", memory, VARIABLES - RAM + 8 * index)[0]
    return value


def prepare(programs: Sequence[Program]) -> list[tuple[Program, Log | None]]:
    """Run programs on our machine: each with its log, None for one that cannot be compared. One that does not end is
    cut after the last trap to M-mode that it comes to."""
    if len(programs) > MAX_PROGRAMS:
        raise ValueError(f"{len(programs)} programs: at most {MAX_PROGRAMS}")
    return [_prepared(program) for program in programs]


def _prepared(program: Program) -> tuple[Program, Log | None]:
    run = Run(program)
    log = run.finish()
    if log is None and 0 < run.traps < program.max_traps:
        program = replace(program, max_traps=run.traps)
        log = run_ours(program)
    return program, log


def compare_batch(qemu: str, programs: Sequence[Program], deviations: Deviations) -> BatchResult:
    """Run programs on both machines and compare; `qemu` is the path of QEMU."""
    return compare_prepared(qemu, prepare(programs), deviations)


def compare_prepared(qemu: str, prepared: Sequence[tuple[Program, Log | None]], deviations: Deviations) -> BatchResult:
    """Run on QEMU what `prepare` has run on ours, and compare."""
    sound = [(program, log) for program, log in prepared if log is not None]
    result = BatchResult(endless=len(prepared) - len(sound))
    while sound:
        theirs, hung = run_qemu(qemu, place([program for program, _ in sound]), len(sound))
        ended = len(sound) if hung is None else hung
        for index, (program, mine) in enumerate(sound[: ended + 1]):
            log = theirs[index * LOG_SIZE : (index + 1) * LOG_SIZE]
            verdict = compare(program, mine, log, deviations, has_ended=index != hung)
            if verdict.difference is not None and len(sound) > 1:
                # An earlier program may have spoilt the harness on QEMU: what counts is the program alone.
                alone, hung_alone = run_qemu(qemu, place([program]), 1)
                verdict = compare(program, mine, alone, deviations, has_ended=hung_alone is None)
            result.add(verdict)
        sound = sound[ended + 1 :]
    return result


@dataclass
class Verdict:
    """What comparing one program gave: the entries and the program's own instructions that were compared, whether a
    known deviation ended the comparison, which were met, and what differs without explanation."""

    instructions: int
    is_cut: bool
    met: list[Deviation]
    difference: Difference | None


def entries(data: bytes) -> list[Entry]:
    """A program's log: each trap's fields by name, the final state last."""
    count = min(struct.unpack_from("<Q", data)[0], MAX_TRAPS)
    found: list[Entry] = []
    for index in range(count):
        values = struct.unpack_from(f"<{len(ENTRY_NAMES)}Q", data, LOG_HEAD + index * ENTRY_SIZE)
        found.append(dict(zip(ENTRY_NAMES, values, strict=True)))
    if found:
        final = struct.unpack_from(f"<{len(FINAL_NAMES)}Q", data, LOG_HEAD + count * ENTRY_SIZE)
        found.append(dict(zip(FINAL_NAMES, final, strict=True)))
    return found


def compare(program: Program, mine: Log, other: bytes, deviations: Deviations, *, has_ended: bool = True) -> Verdict:
    """Compare the logs of a program, entry by entry, as far as the known deviations let it be compared.

    What follows a known deviation is compared too, unless the deviation is one that changes the program's way: then it
    may even never end on QEMU (has_ended=False), whose log is compared as far as it goes.
    """
    if mine.data == other:
        return Verdict(mine.retired[-1], False, [], None)
    ours, theirs = entries(mine.data), entries(other)
    if not has_ended:
        del theirs[-1:]  # there is no final state
    theirs += [{}] * (len(ours) - len(theirs))
    met: list[Deviation] = []
    case = deviations.of(program, ours, theirs)
    for index, (one, two) in enumerate(zip(ours, theirs, strict=False)):
        fields = {name: (value, two.get(name, 0)) for name, value in one.items() if value != two.get(name, 0)}
        if not two and not has_ended:
            fields = {"ended": (1, 0)}
        if not fields:
            continue
        known = case.explain(index, fields)
        before = mine.retired[index - 1] if index else 0
        if known is None:
            return Verdict(before, False, met, Difference(program, index if index < len(ours) - 1 else -1, fields))
        met += known
        if any(one.stops for one in known):
            return Verdict(before, True, met, None)
    return Verdict(mine.retired[-1], False, met, None)
