"""Lab 0's checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Final

from ...core.isa.disassembler import disassemble
from ...core.isa.row import Instruction
from ...core.vmm.stop import StopReason
from ..judge.guests import Guest, words_guest
from ..judge.runner import share_of_band
from ..judge.session import Session, Stopped, need
from ..judge.trial import Trial
from ..judge.verdict import Divergence, Status, Verdict, failed, passed, shared
from ..kit.isa import Operands
from . import oracle
from .assembler_bugs import judge_finds

FIELDS: Final = ("name", "rd", "rs1", "rs2", "imm")


def _load(trial: Trial) -> Session:
    """The student's codec, with the seed's table."""
    student = trial.student
    student.call("Codec.use", oracle.as_kit(oracle.table(trial.seed)))
    return student


def sign_extend(trial: Trial) -> Verdict:
    """The function alone, on every width."""
    random = trial.random()
    cases = [(value, bits) for bits in (1, 5, 6, 12, 13, 21, 32) for value in
             (0, 1, (1 << bits) - 1, 1 << bits - 1, (1 << bits - 1) - 1, random.getrandbits(bits))]
    cases += [(random.getrandbits(64), random.choice((8, 12, 20, 32))) for _ in range(20)]
    for index, (value, bits) in enumerate(cases):
        low = value & (1 << bits) - 1
        wanted = low - (1 << bits) if low >> bits - 1 else low
        got = trial.student.call("sign_extend", value, bits)
        if got != wanted or type(got) is not int:
            call = f"sign_extend({value:#x}, {bits})"
            return failed(call, Divergence(index, 0, call, "result", f"{got!r:.40}", str(wanted)))
    return passed(calls=len(cases))


def _compare(trial: Trial, index: int, word: int, got: Any, wanted: Operands | None) -> Verdict | None:
    """None where the decoding is right."""
    if got == wanted:
        return None
    if got is not None and not isinstance(got, Operands):
        raise Stopped(Status.FAIL, f"decode({word:#010x}) gave {got!r:.60}, where Operands or None is wanted")
    if got is None or wanted is None:
        field, mine, right = "instruction", str(got and got.name), str(wanted and wanted.name)
    else:
        field = next(name for name in FIELDS if getattr(got, name) != getattr(wanted, name))
        mine, right = (f"{getattr(each, field)!r:.40}" for each in (got, wanted))
    guest = words_guest([word])
    replay = None
    if trial.artifacts is not None:
        replay = guest.record(trial.artifacts, trial.check.name, guest.config("deprivileged"), 1)
    line = f"{word:#010x}: {disassemble(word)}"
    return failed(f"decode({word:#010x}), word {index}: {field}",
                  Divergence(0, guest.program.base, line, field, mine, right), replay=replay)


def decoding(formats: Sequence[str], rounds: int = 6) -> Callable[[Trial], Verdict]:
    """The rows of some formats, and for each word what the student's decode makes of it."""

    def run(trial: Trial) -> Verdict:
        student, random, rows = _load(trial), trial.random(), oracle.table(trial.seed)
        chosen = [row for row in rows if not formats or row.format.name in formats]
        index = 0
        for row in chosen:
            words = [*oracle.edge_words(row, random), *(oracle.random_word(row, random) for _ in range(rounds))]
            for word in words if formats else words[:3]:
                wrong = _compare(trial, index, word, student.call("Codec.decode", word), oracle.decode(rows, word))
                if wrong is not None:
                    return wrong
                index += 1
        return passed(words=index, rows=len(chosen))

    return run


def illegal(trial: Trial) -> Verdict:
    """Words that are no instruction of the table's: None. A decoder that has an answer for everything fails here, and
    so does one that has none for anything."""
    student, random, rows = _load(trial), trial.random(), oracle.table(trial.seed)
    words = [0, 0xFFFF_FFFF, 0x0000_007F]
    for row in rows:
        near = oracle.random_word(row, random) ^ 1 << random.randrange(2, 32)
        words.append(near)
    random.shuffle(words)
    count = 0
    for index, word in enumerate(words):
        wanted = oracle.decode(rows, word)
        count += wanted is None
        wrong = _compare(trial, index, word, student.call("Codec.decode", word), wanted)
        if wrong is not None:
            return wrong
    return passed(words=len(words), illegal=count)


def _operands_of(row: Instruction, word: int) -> dict[str, int]:
    return {name: field.extract(word) for name, field in row.format.operands.items() if name in FIELDS}


def encoding(trial: Trial) -> Verdict:
    """encode is decode's inverse, on every row."""
    student, random, rows = _load(trial), trial.random(), oracle.table(trial.seed)
    count = 0
    for row in rows:
        for word in oracle.edge_words(row, random)[:5]:
            operands = _operands_of(row, word)
            wanted = oracle.encode(row, operands)
            got = student.call("Codec.encode", Operands(row.name, **operands))
            if got != wanted:
                shown = ", ".join(f"{name}={value}" for name, value in operands.items())
                mine = f"{got:#010x}" if type(got) is int else f"{got!r:.40}"
                return failed(f"encode({row.name}, {shown})", Divergence(
                    count, 0, f"{row.name} {shown}", "word", mine, f"{wanted:#010x}"))
            count += 1
    return passed(words=count)


def refusing(trial: Trial) -> Verdict:
    """What does not fit is a ValueError, never a word that means something else."""
    student, random = _load(trial), trial.random()
    rows = {row.name: row for row in oracle.table(trial.seed)}
    cases = []
    for name, value in (("addi", 2048), ("addi", -2049), ("sd", 2048), ("beq", 4096), ("beq", -4098), ("beq", 3),
                        ("jal", 1 << 20), ("jal", 1), ("lui", 0x800), ("slli", 64), ("slliw", 32), ("csrrw", 4096)):
        operands = _operands_of(rows[name], oracle.random_word(rows[name], random)) | {"imm": value}
        cases.append(Operands(name, **operands))
    cases += [Operands("add", rd=32), Operands("sub", rs1=-1), Operands("flurble")]
    refused = 0
    for case in cases:
        try:
            got = student.call("Codec.encode", case)
        except Stopped as stopped:
            if not stopped.message.startswith("Codec.encode raised ValueError"):
                raise
            refused += 1
            continue
        return failed(f"encode({case}) gave {got!r:.40}; it must raise ValueError", refused=refused)
    return passed(refused=refused)


def constants(trial: Trial) -> Verdict:
    """load_constant's words run on the hart: a0 must hold the constant; how many there are decides the share."""
    student, random = _load(trial), trial.random()
    values = [0, 1, -1, 0x7FF, -0x800, 0x800, 0x7FFF_F800, 0x7FFF_FFFF, -0x8000_0000, 0x8000_0000, 1 << 63,
              0x1234_5678_9ABC_DEF0, 0xFFFF_FFFF, 1 << 40]
    values += [random.getrandbits(random.randrange(8, 65)) for _ in range(30)]
    total = best = 0
    for value in values:
        value &= (1 << 64) - 1
        words = student.call("Codec.load_constant", value)
        if not isinstance(words, list) or not 0 < len(words) <= 64:
            return failed(f"load_constant({value:#x}) gave {words!r:.60}, where a list of 1 to 64 words is wanted")
        words = [need(int, word, "a word of load_constant's") & 0xFFFF_FFFF for word in words]
        guest = words_guest(words)
        vm = guest.start(guest.config("bare"))
        stop = vm.run(len(words))
        got = vm.hart.read_gpr(10)
        if got != value or stop.reason is not StopReason.BUDGET or vm.hart.guest_traps:
            replay = None
            if trial.artifacts is not None:
                replay = guest.record(trial.artifacts, trial.check.name, guest.config("deprivileged"), len(words))
            found = Divergence(len(words) - 1, guest.program.base + 4 * len(words) - 4, f"load_constant({value:#x})",
                               "a0", f"{got:#x}", f"{value:#x}")
            return failed(f"after load_constant({value:#x})'s {len(words)} words a0 is not that", found, replay=replay)
        total += len(words)
        best += len(Guest.of(f"li a0, {value:#x}").program.code) // 4
    # In tenths of what the assembler's own li takes.
    cost = -(-10 * total // best)
    share = share_of_band(cost, ((10, Fraction(1)), (12, Fraction(3, 4)), (16, Fraction(1, 2)), (40, Fraction(1, 4))))
    message = f"{total} instructions for {len(values)} constants, where the assembler's li takes {best}"
    if share == 1:
        return passed(message, instructions=total, reference=best)
    return failed(message, share=share, instructions=total, reference=best)


def finds(trial: Trial) -> Verdict:
    """The student's list of what riscv-assembler encodes wrongly, confirmed by asking it."""
    found = trial.student.call("found_bugs")
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        return failed("found_bugs() must give a list of lines of assembly")
    right, message = judge_finds([str(each)[:80] for each in found[:20]])
    return shared(min(right, 3), 3, message, kinds=right)
