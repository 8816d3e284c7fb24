"""Every row of the CSR table on QEMU 10 and on our hart: reset value, what writes change, who may access it, VS twins.

One boot runs it all. Where QEMU differs, `csr_deviations.py` says by which section of the manual. The rows of the
Advanced Interrupt Architecture, which a hart has when asked, are in test_csrs_advanced.py.
"""

from __future__ import annotations

import random

import pytest

from hartvisor.core.isa.csrs import BY_NAME
from tests.oracles import require_oracle

from ..fuzz.qemu_machines import qemu_cpu
from ..hart.bench import CSRS
from .board import ABSENT, Case, run, slot
from .csr_cases import (
    ILLEGAL,
    U64,
    VIRTUAL,
    Results,
    access_cases,
    free_bits,
    pairs,
    resets,
    twin_cases,
    write_cases,
    wrong_accesses,
    wrong_twins,
    wrong_writes,
)
from .csr_deviations import DEVIATIONS, FREE_RUNNING, LIKE, RESETS, TRIGGERS

_TRAPPED = ("mcause", "mepc", "mtval", "mtval2", "mtinst", "mstatus")
RESET_NAMES = (*_TRAPPED, *(csr.name for csr in CSRS if csr.name not in (*_TRAPPED, "mtvec")))
"""In an order in which the traps of what is absent spoil nothing; mtvec comes last."""


def cases() -> list[Case]:
    """All rows of a hart as it comes."""
    source = random.Random("csrs")
    made = [case for csr in CSRS for case in write_cases(csr, source)]
    made += [case for csr in CSRS for case in access_cases(csr)]
    made += [case for csr in CSRS if csr.vs_twin for case in twin_cases(csr)]
    return made


@pytest.fixture(scope="module")
def everything() -> Results:
    """The cases, and what both machines made of them, in one boot of each."""
    qemu, made = require_oracle("qemu-system-riscv64-10"), cases()
    return made, *run(qemu, f"{qemu_cpu()},smepmp=on,svadu=on,b=on", made, RESET_NAMES)


def test_every_csr_has_qemus_value_at_reset(everything: Results) -> None:
    _, ours, theirs = everything
    one, two = (resets(ram, RESET_NAMES) for ram in (ours, theirs))
    differ = {name for name in one if one[name] != two[name] and name not in FREE_RUNNING}
    assert {name for name in differ if two[name] == ABSENT} == set(LIKE)
    assert differ - set(LIKE) == set(RESETS)
    assert {name: one[name] for name in one if name not in FREE_RUNNING and one[name] != ABSENT} == {
        csr.name: csr.reset for csr in CSRS if csr.name not in FREE_RUNNING and csr.extension != "F"}
    assert set(one) == {csr.name for csr in CSRS}


def test_writes_change_what_qemus_or_the_manual_says(everything: Results) -> None:
    seen, wrong = wrong_writes(everything, DEVIATIONS, TRIGGERS, tuple(LIKE))
    assert wrong == []
    assert seen == {csr.name for csr in CSRS}


def explanation(case: Case, ours: int, theirs: int) -> str:
    """Why QEMU 10 may report another cause; "" if it should not."""
    name = case.name.split()[0]
    if name in ("senvcfg", "henvcfg", "scontext", "hcontext") and "all closed" in case.name and (ours, theirs) == (
            ILLEGAL, VIRTUAL):
        return "what mstateen0 closes to HS-mode is not HS-qualified (H: Virtual-Instruction Exception)"
    return ""


def test_every_csr_traps_where_qemus_does(everything: Results) -> None:
    """Reads and writes in each mode under each switch: the same trap, or the same value."""
    def free(name: str) -> int:
        return U64 if name in FREE_RUNNING else free_bits(name, DEVIATIONS, TRIGGERS)

    seen, wrong, explained = wrong_accesses(everything, free, LIKE, explanation)
    assert wrong == []
    assert len(explained) == 1, "what is explained must still differ"
    assert seen == {(csr.name, what) for csr in CSRS for what in ("read", "write")}


def test_every_read_only_number_refuses_writes_in_every_mode(everything: Results) -> None:
    read_only = set()
    for index, case, one, _ in pairs(everything, "write"):
        if BY_NAME[case.name.split()[0]].number >> 10 == 3:
            read_only.add(case.name.split()[0])
            assert (one["mcause"], one["mepc"]) == (ILLEGAL, slot(index)), case.name
    assert read_only == {csr.name for csr in CSRS if csr.is_read_only}


def test_every_vs_twin_is_what_vs_mode_has_at_the_supervisors_number(everything: Results) -> None:
    twins, wrong = wrong_twins(everything)
    assert wrong == []
    assert twins == {csr.name: csr.vs_twin for csr in CSRS if csr.vs_twin}
