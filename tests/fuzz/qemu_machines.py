"""Runs a batch of programs on our machine and on QEMU, and compares the logs."""

from __future__ import annotations

import mmap
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hartvisor.core.hart import op_names
from hartvisor.core.isa.csrs import BY_NAME
from hartvisor.core.isa.instructions import INSTRUCTIONS
from hartvisor.core.machine.machine import Machine, StopReason

from .qemu_deviations import Deviations
from .qemu_harness import harness
from .qemu_layout import (
    COUNT,
    ENTRY_NAMES,
    ENTRY_SIZE,
    FINAL_NAMES,
    HARNESS,
    INDEX,
    LOG_SIZE,
    LOGS,
    MAX_PROGRAMS,
    MAX_TRAPS,
    PROGRAMS,
    PROGRESS,
    RAM,
    RAM_SIZE,
    VARIABLES,
    Program,
    pack,
)

PATIENCE = 15.0  # seconds for QEMU to run a batch, many times what it takes
LIMIT = 400_000
"""Steps after which a program is dropped as endless; most end after some thousands, and the harness takes about
50,000."""

_HARNESS = harness()


@dataclass
class Difference:
    """Where two logs of a program differ first: after trap `entry` (-1: the final state), in which fields: (ours,
    QEMU's)."""

    program: Program
    entry: int
    fields: dict[str, tuple[int, int]]


@dataclass
class BatchResult:
    """What comparing a batch gave. compared: programs that ran on both; instructions: those they retired, as our
    hart counts."""

    compared: int
    instructions: int
    endless: int
    differences: list[Difference]


def place(programs: Sequence[Program]) -> bytes:
    """The RAM from RAM on, as far as it is not zero, for a batch of programs."""
    table = bytearray(8 * len(programs))
    at = PROGRAMS + len(table) + -len(table) % 64
    blob = bytearray(at - PROGRAMS)
    for index, program in enumerate(programs):
        struct.pack_into("<Q", blob, 8 * index, PROGRAMS + len(blob))
        blob += pack(program)
    if PROGRAMS + len(blob) > LOGS:
        raise ValueError(f"{len(programs)} programs do not fit")
    image = bytearray(PROGRAMS - RAM) + blob
    image[HARNESS - RAM : HARNESS - RAM + len(_HARNESS.code)] = _HARNESS.code
    struct.pack_into("<Q", image, VARIABLES - RAM + 8 * COUNT, len(programs))
    return bytes(image)


def run_ours(program: Program) -> bytes | None:
    """Run one program on our machine. Returns its log; None if it does not end, or in M-mode overwrites the harness."""
    image = place([program])
    machine = Machine(RAM_SIZE)
    memory, hart = machine.memory, machine.harts[0]
    memory.write(RAM, image)
    hart.pc, hart.privilege = HARNESS, 3
    if machine.run(LIMIT).reason is not StopReason.FINISHED:
        return None
    log = memory.read(LOGS, LOG_SIZE)
    is_sound = (
        memory.load(VARIABLES + 8 * PROGRESS, 8) == 1
        and struct.unpack_from("<Q", log, 8)[0] == program.max_traps
        and memory.read(HARNESS, len(_HARNESS.code)) == _HARNESS.code
        and memory.read(PROGRAMS, len(image) - (PROGRAMS - RAM)) == image[PROGRAMS - RAM :]
        and not hart.read_csr(0x3A0) & 0x8080_8080  # the harness itself locks entries 4 to 7
        and not hart.read_csr(0x3A2) & 0x8080_8000_0000_0000  # and entries 8 to 12
        and not any(hart.read_csr(0x3A0 + bank) & 0x8080_8080_8080_8080 for bank in range(4, 16, 2))
    )
    return log if is_sound else None


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
    """Run a batch on QEMU, its RAM a file that we share. Returns the logs, and the program that did not end, if any."""
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
                if hung is not None:
                    hung = struct.unpack_from("<Q", memory, VARIABLES - RAM + 8 * INDEX)[0] - 1
                return memory[LOGS - RAM : LOGS - RAM + count * LOG_SIZE], hung


def compare_batch(qemu: str, programs: Sequence[Program], deviations: Deviations) -> BatchResult:
    """Run programs on both machines and compare; `qemu` is the path of QEMU."""
    if len(programs) > MAX_PROGRAMS:
        raise ValueError(f"{len(programs)} programs: at most {MAX_PROGRAMS}")
    logs = [run_ours(program) for program in programs]
    sound = [(program, log) for program, log in zip(programs, logs, strict=True) if log is not None]
    result = BatchResult(0, 0, len(programs) - len(sound), [])
    while sound:
        theirs, hung = run_qemu(qemu, place([program for program, _ in sound]), len(sound))
        ended = len(sound) if hung is None else hung
        for index, (program, mine) in enumerate(sound[:ended]):
            other = theirs[index * LOG_SIZE : (index + 1) * LOG_SIZE]
            found = None
            if mine[8:] != other[8:]:
                found = first_difference(program, mine, other, deviations)
            if found is not None and len(sound) > 1:
                # An earlier program may have spoilt the harness on QEMU: what counts is the program alone.
                alone, hung_alone = run_qemu(qemu, place([program]), 1)
                found = first_difference(program, mine, alone, deviations) if hung_alone is None else hang(program)
            if found is not None:
                result.differences.append(found)
            result.compared += 1
            result.instructions += struct.unpack_from("<Q", mine)[0]
        if hung is not None:
            result.differences.append(hang(sound[hung][0]))
        sound = sound[ended + 1 :]
    return result


def hang(program: Program) -> Difference:
    """The difference of a program that ends on our machine only."""
    return Difference(program, -1, {"ended": (1, 0)})


def entries(log: bytes) -> list[dict[str, int]]:
    """A program's log: each trap's fields by name, the final state last."""
    count = min(struct.unpack_from("<Q", log, 8)[0], MAX_TRAPS)
    found = []
    for index in range(count):
        values = struct.unpack_from(f"<{len(ENTRY_NAMES)}Q", log, 16 + index * ENTRY_SIZE)
        found.append(dict(zip(ENTRY_NAMES, values, strict=True)))
    if found:
        final = struct.unpack_from(f"<{len(FINAL_NAMES)}Q", log, 16 + count * ENTRY_SIZE)
        found.append(dict(zip(FINAL_NAMES, final, strict=True)))
    return found


def first_difference(program: Program, mine: bytes, other: bytes, deviations: Deviations) -> Difference | None:
    """The first entry that differs by more than the known deviations; None where there is none.

    What follows a known deviation is compared too, unless the deviation is one that changes the program's way.
    """
    ours, theirs = entries(mine), entries(other)
    if len(ours) != len(theirs):
        theirs += [{}] * (len(ours) - len(theirs))
    for index, (one, two) in enumerate(zip(ours, theirs, strict=False)):
        fields = {name: (value, two.get(name, 0)) for name, value in one.items() if value != two.get(name, 0)}
        if fields:
            is_known, stops = deviations.explain(one, fields)
            if not is_known:
                return Difference(program, index if index < len(ours) - 1 else -1, fields)
            if stops:
                return None
    return None
