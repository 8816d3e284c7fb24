"""One flat M-mode program that runs floating-point instructions on tables of operands, on QEMU and on our hart.

Each instruction has its operands (three doublewords a set) and its results (the result and fcsr, two doublewords for
each rounding mode and each value of fflags before it) at fixed addresses, so that reading memory afterwards is enough.

`python -m tests.conformance.float_qemu SETS SEED` compares SETS operand sets an instruction on QEMU 10, beyond the
suite.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from pathlib import Path

from hartvisor.core.hart import EXIT_MMIO, Hart, Memory
from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.extensions import DEFAULT_ISA
from hartvisor.core.isa.instructions import Instruction
from tests.oracles import require_oracle

from .float_cases import COMPUTATIONS, is_rounded, operand_kinds, random_register

RAM = 0x8000_0000
OPERANDS = RAM + 0x100_0000
RESULTS = RAM + 0x400_0000
SIZE = 256 << 20
FINISHER = 0x10_0000
SET, RESULT = 24, 16
DEADLINE = 120.0

_VALUES = {"rd": 10, "rs1": 11, "rs2": 12, "rs3": 13}


def variants(name: str) -> list[tuple[int, int]]:
    """(rounding mode, fflags before) of each execution on one operand set."""
    return [(mode, flags) for mode in (range(5) if is_rounded(name) else (0,)) for flags in (0, 1)]


def _encode(row: Instruction) -> int:
    fields = row.format.operands
    insn = row.match
    for register, index in _VALUES.items():
        if register in fields:
            insn |= fields[register].insert(index)
    return insn | (fields["rm"].insert(7) if is_rounded(row.name) else 0)


def _loop(row: Instruction, operands: int, results: int, sets: int) -> str:
    """Every variant of the instruction on each of its operand sets."""
    fields = row.format.operands
    lines = [f"li s0, {operands}", f"li s1, {results}", f"li s2, {sets}", "1:"]
    lines += [
        f"{'fld f' if fields[register].is_float else 'ld x'}{_VALUES[register]}, {8 * place}(s0)"
        for place, register in enumerate(("rs1", "rs2", "rs3"))
        if register in fields
    ]
    for mode, flags in variants(row.name):
        lines += [
            f"li t0, {mode << 5 | flags}",
            "csrw fcsr, t0",
            f".word {_encode(row):#x}",
            "csrr t1, fcsr",
            "fsd f10, 0(s1)" if fields["rd"].is_float else "sd x10, 0(s1)",
            "sd t1, 8(s1)",
            f"addi s1, s1, {RESULT}",
        ]
    return "\n".join([*lines, f"addi s0, s0, {SET}", "addi s2, s2, -1", "beqz s2, 2f", "j 1b", "2:"])


def program(names: list[str], sets: int, seed: str) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """The image for RAM, and where each instruction's operands and results lie."""
    source = random.Random(seed)
    places, data, results, text = {}, bytearray(), RESULTS, ["li t0, 0x6000", "csrs mstatus, t0"]
    for name in names:
        kinds = operand_kinds(name)
        places[name] = OPERANDS + len(data), results
        text.append(_loop(COMPUTATIONS[name], *places[name], sets))
        for _ in range(sets):
            values = [random_register(source, kind) for kind in kinds] + [0] * (3 - len(kinds))
            data += b"".join(value.to_bytes(8, "little") for value in values)
        results += RESULT * len(variants(name)) * sets
    assert RAM + len(data) < RESULTS and results < RAM + SIZE
    text += [f"li t0, {FINISHER}", "li t1, 0x5555", "sw t1, 0(t0)", "j ."]
    code = assemble("\n".join(text), RAM).code
    return code + bytes(OPERANDS - RAM - len(code)) + bytes(data), places


def on_qemu(qemu: str, cpu: str, image: bytes, end: int, board: str = "virt") -> bytes:
    """RAM up to the address `end` after QEMU ran the image."""
    with tempfile.TemporaryDirectory() as folder:
        ram = Path(folder) / "ram"
        ram.write_bytes(image)
        with ram.open("r+b") as file:
            file.truncate(SIZE)
        subprocess.run(
            [
                qemu,
                "-M",
                f"{board},memory-backend=ram",
                "-cpu",
                cpu,
                "-m",
                f"{SIZE >> 20}M",
                "-bios",
                "none",
                "-display",
                "none",
                "-monitor",
                "none",
                "-serial",
                "none",
                "-object",
                f"memory-backend-file,id=ram,size={SIZE},mem-path={ram},share=on",
                "-device",
                f"loader,addr={RAM:#x},cpu-num=0",
            ],
            check=True,
            timeout=DEADLINE,
        )
        with ram.open("rb") as file:
            return file.read(end - RAM)


def on_ours(image: bytes, end: int, *, host_float: bool = True, isa: frozenset[str] = DEFAULT_ISA) -> bytes:
    """The same by our hart."""
    memory = Memory(SIZE)
    memory.write(RAM, image)
    hart = Hart(memory, isa=isa)
    hart.host_float = host_float
    hart.pc = RAM
    while (seen := hart.run(1 << 40)).reason == EXIT_MMIO and seen.address != FINISHER:
        hart.complete_mmio()  # mtimecmp, which nothing here depends on
    assert (seen.reason, seen.address) == (EXIT_MMIO, FINISHER), seen
    return memory.read(RAM, end - RAM)


def compare(ours: bytes, theirs: bytes, places: dict[str, tuple[int, int]], sets: int) -> tuple[int, list[str]]:
    """How many executions were compared, and a line for each that differs."""
    total, wrong = 0, []
    for name, (operands, results) in places.items():
        ways = variants(name)
        total += len(ways) * sets
        size = RESULT * len(ways) * sets
        at = results - RAM
        if ours[at : at + size] == theirs[at : at + size]:
            continue
        for number in range(len(ways) * sets):
            one, two = (ram[at + RESULT * number : at + RESULT * (number + 1)] for ram in (ours, theirs))
            if one != two:
                values = operands - RAM + SET * (number // len(ways))
                shown = [hex(int.from_bytes(ours[values + i : values + i + 8], "little")) for i in (0, 8, 16)]
                wrong.append(
                    f"{name} (mode, flags) {ways[number % len(ways)]} of {shown}: ours {one[::-1].hex('_', 8)}, "
                    f"QEMU's {two[::-1].hex('_', 8)}"
                )
    return total, wrong


def end_of(places: dict[str, tuple[int, int]], sets: int) -> int:
    """The address behind all results."""
    name = list(places)[-1]
    return places[name][1] + RESULT * len(variants(name)) * sets


def main() -> int:
    """Compare on QEMU 10; print what differs and the total."""
    sets, seed = int(sys.argv[1]), sys.argv[2]
    image, places = program(list(COMPUTATIONS), sets, seed)
    end = end_of(places, sets)
    ours = on_ours(image, end)
    total, wrong = compare(ours, on_qemu(require_oracle("qemu-system-riscv64-10"), "max", image, end), places, sets)
    is_same = ours == on_ours(image, end, host_float=False)
    print(*wrong[:50], sep="\n")
    print(
        f"{total} executions: {len(wrong)} differ from QEMU's; with and without host arithmetic "
        f"{'the same' if is_same else 'NOT the same'}"
    )
    return bool(wrong) or not is_same


if __name__ == "__main__":
    sys.exit(main())
