"""Makes a program that differs on QEMU as small as it gets, and writes it down so that it can be run again."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from pathlib import Path

from hartvisor.core.isa.disassembler import disassemble

from .qemu_deviations import Deviations
from .qemu_layout import ACT_PTE, ARENA, CODE, DATA, MAX_PROGRAMS, MAX_TRAPS, N_CODE, N_DATA, Action, Program
from .qemu_machines import Difference, compare_batch

NOP = 0x13
SIMPLER = {
    "medeleg": 0,
    "mideleg": 0,
    "hedeleg": 0,
    "hideleg": 0,
    "mie": 0,
    "mip": 0,
    "hvip": 0,
    "satp": 0,
    "vsatp": 0,
    "hgatp": 0,
    "pmpaddr0": 0,
    "pmpaddr1": 0,
    "pmpaddr2": 0,
    "pmpcfg0": 0x1F00_0000,
    "mstatus": 0xA << 32,
    "vsstatus": 2 << 32,
    "hstatus": 2 << 32,
    "menvcfg": 0,
    "senvcfg": 0,
    "henvcfg": 0,
    "sscratch": 0,
    "vsscratch": 0,
    "htimedelta": 0,
    "sepc": 0,
    "vsepc": 0,
    "mcounteren": 0,
    "scounteren": 0,
    "hcounteren": 0,
}


def shrink(qemu: str, found: Difference, deviations: Deviations, rounds: int = 7) -> Difference:
    """Try ever smaller changes, many in one batch; keep each that still differs."""
    best = found
    if found.entry >= 0:
        best = _first(qemu, deviations, [_cut(found.program, found.entry + 1)]) or best
    size = 1024
    for _ in range(rounds):
        tried = list(_candidates(best.program, size))
        better = _all(qemu, deviations, tried)
        if better:
            merged = _merge(best.program, [difference.program for difference in better])
            best = _first(qemu, deviations, [merged]) or better[0]
            if best.entry >= 0 and best.entry + 1 < best.program.max_traps:
                best = _first(qemu, deviations, [_cut(best.program, best.entry + 1)]) or best
        elif size <= 4:
            break
        size = max(4, size // (2 if better else 4))
    return best


def _all(qemu: str, deviations: Deviations, programs: list[Program]) -> list[Difference]:
    found: list[Difference] = []
    for start in range(0, len(programs), 200):
        found += compare_batch(qemu, programs[start : start + min(200, MAX_PROGRAMS)], deviations).differences
    return found


def _first(qemu: str, deviations: Deviations, programs: list[Program]) -> Difference | None:
    return next(iter(_all(qemu, deviations, programs)), None)


def _cut(program: Program, traps: int) -> Program:
    changed = deepcopy(program)
    changed.max_traps = traps
    return changed


def _changed(program: Program, change: Callable[[Program], None]) -> Program:
    copy = deepcopy(program)
    change(copy)
    return copy


def _candidates(program: Program, size: int) -> Iterator[Program]:
    """Programs with something less: a stretch of code, a CSR's value, an action, a page of data, a register."""
    for frame in range(CODE, CODE + N_CODE):
        code = program.frames.get(frame, b"")
        for at in range(0, len(code), size):
            if code[at : at + size] != NOP.to_bytes(4, "little") * (size // 4) and any(code[at : at + size]):

                def blank(copy: Program, frame: int = frame, at: int = at) -> None:
                    copy.frames[frame][at : at + size] = NOP.to_bytes(4, "little") * (size // 4)

                yield _changed(program, blank)
    for name, value in SIMPLER.items():
        if program.csrs.get(name, value) != value:

            def simplify(copy: Program, name: str = name, value: int = value) -> None:
                copy.csrs[name] = value

            yield _changed(program, simplify)
    for index in range(min(program.max_traps, MAX_TRAPS)):
        if program.actions[index].flags & ACT_PTE:

            def drop(copy: Program, index: int = index) -> None:
                copy.actions[index].flags &= ~ACT_PTE

            yield _changed(program, drop)
    for frame in range(DATA, DATA + N_DATA):
        if any(program.frames.get(frame, b"")):

            def clear(copy: Program, frame: int = frame) -> None:
                copy.frames[frame][:] = bytes(4096)

            yield _changed(program, clear)


def _merge(base: Program, better: Iterable[Program]) -> Program:
    """All the changes of several better programs in one."""
    merged = deepcopy(base)
    for program in better:
        for frame, data in program.frames.items():
            for at in range(0, 4096, 4):
                if data[at : at + 4] != base.frames[frame][at : at + 4]:
                    merged.frames[frame][at : at + 4] = data[at : at + 4]
        merged.csrs.update({name: value for name, value in program.csrs.items() if base.csrs.get(name) != value})
        for mine, theirs, original in zip(merged.actions, program.actions, base.actions, strict=True):
            if theirs != original:
                mine.flags = theirs.flags
    return merged


def write_reproducer(found: Difference, folder: Path) -> Path:
    """Write a program and what differed as JSON that `--replay` takes."""
    program = found.program
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"qemu-{program.seed}.json"
    path.write_text(
        json.dumps(
            {
                "seed": program.seed,
                "max_traps": program.max_traps,
                "mode": program.mode,
                "registers": program.registers,
                "floats": program.floats,
                "csrs": program.csrs,
                "actions": [vars(action) for action in program.actions],
                "frames": {str(frame): bytes(data).hex() for frame, data in program.frames.items()},
                "entry": found.entry,
                "fields": {name: [hex(one), hex(two)] for name, (one, two) in found.fields.items()},
            },
            indent=1,
        )
        + "\n",
        encoding="utf-8",
    )
    return path


def read_reproducer(path: Path) -> Program:
    """The program that `write_reproducer` wrote."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return Program(
        data["seed"],
        {int(frame): bytearray.fromhex(text) for frame, text in data["frames"].items()},
        data["registers"],
        data["floats"],
        data["csrs"],
        data["mode"],
        [Action(**action) for action in data["actions"]],
        data["max_traps"],
    )


def listing(program: Program) -> list[str]:
    """What is left of the code: every instruction that is no nop."""
    lines = []
    code = b"".join(bytes(program.frames.get(frame, bytes(4096))) for frame in range(CODE, CODE + N_CODE))
    at = 0
    while at < len(code):
        insn = int.from_bytes(code[at : at + 4], "little")
        length = 4 if insn & 3 == 3 else 2
        if insn != NOP and insn & 0xFFFF:
            lines.append(f"{ARENA + at:#x}: {disassemble(insn if length == 4 else insn & 0xFFFF, ARENA + at)}")
        at += length
    return lines


def random_seed() -> int:
    """A seed for a run that was given none."""
    return random.SystemRandom().randrange(1 << 32)
