"""The CSR rows of the Advanced Interrupt Architecture on QEMU 10 and on our hart, both without an IMSIC.

As test_csrs.py; what lies behind the windows, and interrupt files, is for test_aia*.py and test_imsic.py.
"""

from __future__ import annotations

import random

import pytest

from hartvisor.core.isa.csrs import CSRS
from hartvisor.core.isa.csrs_aia import AIA_CSRS
from tests.oracles import require_oracle

from ..fuzz.qemu_machines import qemu_cpu
from ..hart import bench
from ..hart.advanced import AIA
from .board import Case, run
from .csr_cases import (
    ILLEGAL,
    VIRTUAL,
    Results,
    access_cases,
    free_bits,
    resets,
    twin_cases,
    write_cases,
    wrong_accesses,
    wrong_twins,
    wrong_writes,
)
from .csr_deviations import Deviation, written

NAMES = tuple(csr.name for csr in AIA_CSRS)
U64 = (1 << 64) - 1
DEVIATIONS = (
    Deviation(("mvien", "mvip", "hvien"), U64 << 13 & U64, written,
              "AIA, Machine-Level CSRs: 13 to 63 are writable or zero, each as the hart likes"),
    Deviation(("hvictl",), 0xFFF << 16, lambda write: write.value & 0x3F << 16,
              "AIA, Hypervisor and VS CSRs: IID, 6 bits"),
    Deviation(("hvictl",), 1 << 9, written, "AIA, Hypervisor and VS CSRs: DPR, which QEMU has not"),
)
RESETS = {"hviprio1", "hviprio2"}
"""Unspecified at reset; QEMU has the default order there."""


def cases() -> list[Case]:
    """All rows of the AIA."""
    source = random.Random("advanced")
    made = [case for csr in AIA_CSRS for case in write_cases(csr, source)]
    made += [case for csr in AIA_CSRS for case in access_cases(csr)]
    made += [case for csr in AIA_CSRS if csr.vs_twin for case in twin_cases(csr)]
    return made


@pytest.fixture(scope="module")
def everything() -> Results:
    """The cases, and what both machines made of them."""
    qemu, made = require_oracle("qemu-system-riscv64-10"), cases()
    cpu = f"{qemu_cpu()},smepmp=on,svadu=on,b=on,smaia=on,ssaia=on,smcsrind=on,sscsrind=on"
    return made, *run(qemu, cpu, made, NAMES, AIA)


def test_the_table_is_these_rows_and_those_of_a_hart_as_it_comes() -> None:
    assert {csr.name for csr in CSRS} == {*NAMES, *(csr.name for csr in bench.CSRS)}


def test_every_csr_has_qemus_value_at_reset(everything: Results) -> None:
    _, ours, theirs = everything
    one, two = (resets(ram, NAMES) for ram in (ours, theirs))
    assert {name for name in one if one[name] != two[name]} == RESETS
    assert all(one[name] == 0 for name in RESETS)


def test_writes_change_what_qemus_or_the_specification_says(everything: Results) -> None:
    seen, wrong = wrong_writes(everything, DEVIATIONS, tuple(RESETS))
    assert wrong == []
    assert seen == set(NAMES)


def explanation(case: Case, ours: int, theirs: int) -> str:
    """Why QEMU 10 may report another cause; "" if it should not."""
    if "all closed" not in case.name:
        return ""
    if "topei" in case.name and (ours, theirs) == (VIRTUAL, ILLEGAL):
        return "without an IMSIC, mstateen0.IMSIC is zero and closes nothing (Smstateen)"
    if "topei" not in case.name and (ours, theirs) == (ILLEGAL, VIRTUAL):
        return "what mstateen0 closes to HS-mode is not HS-qualified (H: Virtual-Instruction Exception)"
    return ""


def test_every_csr_traps_where_qemus_does(everything: Results) -> None:
    def free(name: str) -> int:
        return free_bits(name, DEVIATIONS, tuple(RESETS))

    seen, wrong, explained = wrong_accesses(everything, free, {}, explanation)
    assert wrong == []
    assert len(explained) == 2, "what is explained must still differ"
    assert seen == {(name, what) for name in NAMES for what in ("read", "write")}


def test_every_vs_twin_is_what_vs_mode_has_at_the_supervisors_number(everything: Results) -> None:
    twins, wrong = wrong_twins(everything, [name for name in NAMES if name != "siselect"])
    assert wrong == []
    assert twins == {csr.name: csr.vs_twin for csr in AIA_CSRS if csr.vs_twin}
