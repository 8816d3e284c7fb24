"""Compares the decoder with objdump 2.44: `python -m tests.fuzz.decoder --words N --seed S`.

All 2**16 halfwords that start a compressed instruction, and N random words, must be the same instruction or none,
for the extensions that our table has. The words are laid out in flat files that objdump reads at once.
"""

from __future__ import annotations

import argparse
import random
import re
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from hartvisor.core.isa.decoder import find_row
from hartvisor.core.isa.instructions import INSTRUCTIONS

from ..oracles import require_oracle

BATCH = 100_000
_LINE = re.compile(r"^\s*[0-9a-f]+:\s+([0-9a-f]+)\s+(\S+)", re.MULTILINE)
_DATA = re.compile(r"\.|c\.unimp$|unimp$")

DIFFERENCES = {
    "fence": "Memory Ordering Instructions: reserved fields of fence are ignored; objdump has no name for them",
    "fence.i": "Zifencei: the unused fields are reserved, and ignored; objdump wants zeros",
    "pause": "Zihintpause: a fence with a name of its own",
}
"""Rows that decode where objdump sees no instruction, each with the manual's section."""

UNKNOWN_HERE = {
    "uret": "an instruction of an older draft of the privileged manual",
    "hret": "an instruction of an older draft of the privileged manual",
    "sfence.vm": "an instruction of an older draft of the privileged manual",
    "dret": "debug mode (debug specification)",
    "mnret": "Smrnmi, which this hart does not have",
    "sctrclr": "Smctr, which this hart does not have",
    "c.addi16sp": "RVC, Integer Register-Immediate Operations: with an immediate of zero it is reserved",
    "c.lui": "RVC, Integer Constant-Generation Instructions: with an immediate of zero it is reserved",
    "c.unimp": "RVC, Compressed Instruction Formats: the zero halfword is illegal; objdump has a name for it",
}
"""objdump's names for what decodes to nothing here."""

FP_OPCODES = (0x43, 0x47, 0x4B, 0x4F, 0x53)
WIDENING = ("fcvt.d.s", "fcvt.d.h", "fcvt.s.h", "fcvt.d.w", "fcvt.d.wu")


def random_words(count: int, seed: int) -> Iterator[list[int]]:
    """Batches of words of 32-bit instructions: a third of them anything, the others near an instruction."""
    source = random.Random(seed)
    rows = [row for row in INSTRUCTIONS if row.length == 4]
    for start in range(0, count, BATCH):
        words = []
        for _ in range(min(BATCH, count - start)):
            word = source.getrandbits(32) | 3
            chance = source.random()
            if chance < 0.67:
                row = source.choice(rows)
                mask = row.mask if chance < 0.4 else row.mask & 0xFE00707F
                word = word & ~mask | row.match & mask
            words.append(word & ~0x1C | 0x10 if word & 0x1F == 0x1F else word)
        yield words


def architecture() -> str:
    """objdump's -M march for the extensions that our table has rows of."""
    names = {row.extension for row in INSTRUCTIONS}
    single = "".join(letter.lower() for letter in "MAFDC" if letter in names or letter == "C")
    longer = sorted({name.lower() for name in names if name.startswith(("Z", "Sv", "Ss", "Sm"))})
    return "_".join(["rv64i" + single, "h" if "H" in names else "", *longer, "zicsr", "zifencei"]).replace("__", "_")


def objdump_names(insns: Sequence[int], size: int) -> list[str]:
    """objdump's mnemonic for each instruction of `size` bytes; "" where it sees none."""
    with tempfile.TemporaryDirectory() as folder:
        flat, elf = Path(folder) / "code", Path(folder) / "code.o"
        flat.write_bytes(struct.pack(f"<{len(insns)}{'I' if size == 4 else 'H'}", *insns))
        source = Path(folder) / "code.s"
        source.write_text(f'.option norelax\n.attribute arch, "{architecture()}"\n.incbin "{flat}"\n', encoding="utf-8")
        for command in (
            [
                require_oracle("riscv64-linux-gnu-as-2.44"),
                f"-march={architecture()}",
                "-mno-csr-check",
                "-o",
                elf,
                source,
            ],
            [require_oracle("riscv64-linux-gnu-objdump-2.44"), "-D", "-j", ".text", "-z", "-M", "no-aliases", elf],
        ):
            done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{command[0]}: {done.stderr[:1000]}")
    names = ["" if _DATA.match(name) and name != "c.unimp" else name for _, name in _LINE.findall(done.stdout)]
    if len(names) != len(insns):
        raise RuntimeError(f"objdump gave {len(names)} lines for {len(insns)} instructions")
    return names


def explain(insn: int, ours: str, theirs: str) -> str:
    """Why the decoder and objdump differ here; "" where they should not."""
    base = re.sub(r"\.(aq|rl|aqrl)$", "", theirs)
    if ours in (base, theirs):
        return "same"
    if theirs.startswith("f") and not ours and insn >> 12 & 7 in (5, 6) and insn & 0x7F in FP_OPCODES:
        return "F, Floating-Point Control and Status Register: rounding modes 5 and 6 are reserved, hence illegal"
    if ours in WIDENING and not theirs:
        return "F, D, Conversion Instructions: where the result is exact any rounding mode will do; objdump wants 0"
    if not theirs:
        return DIFFERENCES.get(ours, "")
    if not ours:
        return UNKNOWN_HERE.get(theirs, "")
    if ours == "c.nop" and theirs in ("c.addi", "c.nop"):
        return "RVC, NOP Instruction: objdump takes it for c.addi"
    if theirs == f"{ours}64":
        return "RVC, Integer Register-Immediate Operations: a shift by 0; the 64 names are RV128's"
    if ours == "pause" and theirs == "fence":
        return DIFFERENCES["pause"]
    return ""


def compare(insns: Sequence[int], size: int, met: Counter[str]) -> list[str]:
    """What differs and has no explanation, a line each; the explanations are counted in `met`."""
    wrong = []
    for insn, theirs in zip(insns, objdump_names(insns, size), strict=True):
        row = find_row(insn)
        why = explain(insn, row.name if row else "", theirs)
        met[why] += 1
        if not why:
            wrong.append(f"{insn:#x}: {row.name if row else 'no instruction'}, objdump {theirs or 'no instruction'}")
    return wrong


def main() -> int:
    """The command line; the exit status is 1 where something differs without explanation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--words", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    met: Counter[str] = Counter()
    wrong = compare([halfword for halfword in range(1 << 16) if halfword & 3 != 3], 2, met)
    done = 0
    for words in random_words(options.words, options.seed):
        wrong += compare(words, 4, met)
        done += len(words)
        print(f"\r{done:,} words, {len(wrong)} unexplained", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    for why, count in met.most_common():
        print(f"{count:>12,}  {why or 'UNEXPLAINED'}")
    print(*wrong[:50], sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
