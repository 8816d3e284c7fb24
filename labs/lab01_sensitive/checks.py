"""Lab 1's checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from random import Random
from typing import Final

from ...core.isa.csrs import BY_NAME, BY_NUMBER
from ...core.isa.disassembler import disassemble
from ...core.isa.row import Instruction as Row
from ..judge.runner import share_of_band
from ..judge.session import Session
from ..judge.trial import Trial
from ..judge.verdict import Divergence, Verdict, failed, passed
from ..kit.hart import SUPERVISOR, USER, CsrRow
from ..kit.sensitive import MODE, Box, Instruction
from .box import DECOYS, HOLES, ORDINARY, BlackBox, Custom, customs, find_custom
from .experiment import CSR_ROWS, PLAIN_ROWS, Experiment
from .kernels import Deprivileging, Kernel, checked

STEPS: Final = 100_000
MODES: Final = ((USER, "U"), (SUPERVISOR, "S"))
ABSENT: Final = (0x001, 0x5C0, 0x800, 0xC03, 0xDB0, 0x14D, 0x600, 0x200)
"""CSRs that this hart has not."""
MACHINES: Final = ("mstatus", "mepc", "misa", "mhartid", "pmpcfg0", "mcycle", "menvcfg")
KERNELS: Final = 3


def guests_csrs() -> list[CsrRow]:
    """The CSRs below M-mode that the hart has."""
    experiment = Experiment()
    return [CsrRow(csr.number, csr.name, csr.write_mask, csr.number >> 8 == 0xC) for csr in BY_NAME.values()
            if csr.number >> 8 & 3 < 3 and experiment.has(csr.number)]


def _load(trial: Trial) -> Session:
    trial.student.call("Theorem.use", guests_csrs())
    return trial.student


def _classified(trial: Trial, cases: Sequence[tuple[Row, int | None, bool]]) -> Verdict:
    """Each case in both modes: the student's word against what the hart did."""
    student, random, experiment = _load(trial), trial.random("order"), Experiment()
    order = [(row, csr, writes, mode, letter) for row, csr, writes in cases for mode, letter in MODES]
    random.shuffle(order)
    for index, (row, csr, writes, mode, letter) in enumerate(order):
        wanted = experiment.classify(row, csr, writes, mode)
        got = student.call("Theorem.classify", Instruction(row.name, writes), csr, mode)
        if got != wanted:
            what = "" if csr is None else f" {BY_NUMBER[csr].name if csr in BY_NUMBER else hex(csr)}"
            call = f"classify({row.name}{what}{'' if csr is None or writes else ', only read'}) in {letter}-mode"
            return failed(call, Divergence(index, 0, call, "class", f"{got!r:.40}", repr(wanted)))
    return passed(calls=len(order))


def plain(trial: Trial) -> Verdict:
    """Every instruction of the table that is about no CSR."""
    return _classified(trial, [(row, None, False) for row in PLAIN_ROWS])


def csrs(trial: Trial) -> Verdict:
    """The six CSR instructions, on all CSRs of the guest's, and some that are none of its."""
    random = trial.random()
    cases: list[tuple[Row, int | None, bool]] = []
    numbers = [row.number for row in guests_csrs()]
    others = [*(BY_NAME[name].number for name in MACHINES), *ABSENT]
    for row in CSR_ROWS:
        kinds = (True,) if row.name in ("csrrw", "csrrwi") else (True, False)
        cases += [(row, number, writes) for number in numbers for writes in kinds]
        cases += [(row, number, random.choice(kinds)) for number in random.sample(others, 5)]
    return _classified(trial, cases)


def _name(instructions: list[Custom], word: int) -> str:
    custom = find_custom(instructions, word)
    return custom.name if custom is not None else disassemble(word) or f"{word:#010x}"


def _searched(trial: Trial, holes: Sequence[str], random: Random, index: int) -> Verdict | int:
    """One box: a failure, or how often it was run."""
    names = [*holes, *random.sample(tuple(DECOYS), random.randrange(1, 4))]
    instructions = customs(random, tuple(names))
    random.shuffle(names)
    box = BlackBox(instructions)
    words = [*random.sample(ORDINARY, 14), *(each.word(7, 5) for each in instructions)]
    random.shuffle(words)
    student = trial.student
    student.services["box.run"] = box.run
    said = student.call("Theorem.find_silent", Box(), words)
    call = f"find_silent in box {index}, of {len(words)} words"
    if not isinstance(said, list) or any(each not in words for each in said):
        return failed(call, Divergence(index, 0, call, "silent", f"{said!r:.60}", "a list of some of the words"))
    wanted = {each.word(7, 5) for each in instructions if each.name in HOLES}
    for word in words:
        if (word in said) != (word in wanted):
            got, right = ("not found", "a hole") if word in wanted else ("silent and sensitive", "no hole")
            return failed(f"{call}: {_name(instructions, word)}", Divergence(
                index, 0, f"{word:#010x}: {_name(instructions, word)}", "silent", got, right))
    return box.runs


def searching(kinds: Sequence[Sequence[str]]) -> Callable[[Trial], Verdict]:
    """find_silent in boxes with these holes."""

    def run(trial: Trial) -> Verdict:
        random, runs = trial.random(), 0
        for index, holes in enumerate(kinds):
            found = _searched(trial, holes, random, index)
            if isinstance(found, Verdict):
                return found
            runs += found
        return passed(boxes=len(kinds), runs=runs)

    return run


def _patched(trial: Trial, kernel: Kernel) -> Deprivileging:
    silent = [each.silent for each in kernel.customs]
    said = trial.student.call("Theorem.deprivilege", kernel.words, silent, kernel.users)
    return Deprivileging(trial, kernel, checked(kernel, said))


def deprivileging(trial: Trial) -> Verdict:
    """Kernels on a machine with holes, patched and deprivileged, in lockstep with the bare machine."""
    total: dict[str, int] = {}
    for number in range(KERNELS):
        counted = _patched(trial, Kernel(trial.random(str(number)))).run(STEPS)
        total = {name: total.get(name, 0) + value for name, value in counted.items()}
    return passed(counted=total)


def patches(trial: Trial) -> Verdict:
    """How often what was patched traps, against the least that will do."""
    kernel = Kernel(trial.random(), 40)
    counted = _patched(trial, kernel).run(STEPS)
    users = set(kernel.users)
    least = 0
    for index, word in enumerate(kernel.words):
        custom = find_custom(kernel.customs, word)
        least += custom is not None and (index not in users or HOLES[custom.name][1] != MODE)
    percent = -(-100 * counted["patches"] // least)
    share = share_of_band(percent, ((100, Fraction(1)), (200, Fraction(1, 2))))
    message = f"{counted['patches']} patched instructions executed, where {least} must be: {percent} %"
    if share == 1:
        return passed(message, counted, least=least)
    return failed(message, share=share, counted=counted, least=least)
