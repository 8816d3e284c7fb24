"""Every row of the CSR table on QEMU 10 and on our hart: reset value, what writes change, who may access it, VS twins.

One boot runs it all. Where QEMU differs, `csr_deviations.py` says by which section of the manual.
"""

from __future__ import annotations

import random

import pytest

from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.csrs import BY_NAME, Csr
from tests.oracles import require_oracle

from ..fuzz.qemu_machines import qemu_cpu
from ..hart.bench import CSRS
from .board import ABSENT, FS_DIRTY, MODES, Case, result, run, slot
from .csr_deviations import DEVIATIONS, FREE_RUNNING, LIKE, RESETS, Write, bits_of

U64 = (1 << 64) - 1
_TRAPPED = ("mcause", "mepc", "mtval", "mtval2", "mtinst", "mstatus")
RESET_NAMES = (*_TRAPPED, *(csr.name for csr in CSRS if csr.name not in (*_TRAPPED, "mtvec")))
"""In an order in which the traps of what is absent spoil nothing; mtvec comes last."""

OPEN = {
    "menvcfg": 7 << 61 | 0xF1, "henvcfg": 7 << 61 | 0xF1, "senvcfg": 0xF1, "mstateen0": U64, "hstateen0": U64,
    "mcounteren": U64, "hcounteren": U64, "scounteren": U64, "vsstatus": FS_DIRTY,
}  # fmt: skip
SWITCHES: dict[str, tuple[int, dict[str, int]]] = {
    "all open": (FS_DIRTY, OPEN),
    "all closed": (0, {}),
    "open to S only": (FS_DIRTY, OPEN | {"scounteren": 0, "hcounteren": 0, "henvcfg": 0, "hstateen0": 0}),
    "open to VS only": (FS_DIRTY, OPEN | {"scounteren": 0}),
    "TVM": (FS_DIRTY | 1 << 20, OPEN),
    "VTVM": (FS_DIRTY, OPEN | {"hstatus": 1 << 20}),
    "FS off": (0, OPEN),
    "the guest's FS off": (FS_DIRTY, OPEN | {"vsstatus": 0}),
}
DELEGATED = {"mideleg": 0x2222, "hideleg": 0x2444}
ILLEGAL, VIRTUAL = 2, 22

UNLOCKED = 0x7F7F_7F7F_7F7F_7F7F
WRITABLE = {**{f"pmpcfg{i}": UNLOCKED for i in range(0, 16, 2)}, "mseccfg": 0x304}
"""What may be written here: a locked PMP entry, MML and MMWP stay until reset. test_pmp and test_smepmp write them."""


VALUES = {"tdata1": tuple(6 << 60 | 1 << place for place in (0, 1, 2, 3, 4, 6, 7, 11, 12, 16, 18, 21, 22, 23, 24, 26))}
"""What is written instead, since QEMU 10 aborts at a type of trigger that it does not have: each field of mcontrol6."""


TWIN_VALUES = {"satp": (1 << 44, 0), "sie": (0x222, 0x20), "sip": (2, 0), "scause": (5, 9),
               "sstatus": (0x4_0100, 0x8_0000)}
"""What is written to a supervisor's register and its VS twin: values that both keep."""

RELOADED = {"sstatus", "sie", "sepc", "sip", "satp"}
"""Which of them the driver loads or clears before each case, so that step 1 alone tells."""


def code(source: str) -> bytes:
    return assemble(source).code


def write_cases(csr: Csr, source: random.Random) -> list[Case]:
    """M-mode writes ones, zeros and random bits, reads what came of it, and puts the old value back."""
    text = code(f"csrrw x11, {csr.name}, x10\ncsrr x12, {csr.name}\ncsrw {csr.name}, x11")
    values = (U64, 0, 0x5555_5555_5555_5555, 0xAAAA_AAAA_AAAA_AAAA, *(source.getrandbits(64) for _ in range(4)))
    made = []
    for controls, which in ((OPEN | DELEGATED, "open"), ({}, "closed")):
        for value in VALUES.get(csr.name, values):
            registers = [0] * 31
            registers[9] = value & WRITABLE.get(csr.name, U64)
            made.append(Case(f"{csr.name} written, {which}", text, registers=registers, controls=controls))
    return made


def access_cases(csr: Csr) -> list[Case]:
    """A read and a write in each mode under each switch; what is written is put back."""
    read = code(f"csrr x11, {csr.name}")
    write = code(f"csrrw x11, {csr.name}, x10\ncsrw {csr.name}, x11")
    return [
        Case(f"{csr.name} {what} in {mode}-mode, {name}", text, mode, controls=controls, status=status)
        for mode in MODES
        for name, (status, controls) in SWITCHES.items()
        for what, text in (("read", read), ("write", write))
        if (mode, what) != ("M", "write")
    ]


def twin_cases(csr: Csr) -> list[Case]:
    """VS-mode writes the supervisor's number, M-mode looks at both registers; and the other way round."""
    value, other = TWIN_VALUES.get(csr.name, (0x240, 0x80))
    registers = [0] * 31
    registers[9], registers[10] = value, other
    controls, twin = OPEN | DELEGATED, csr.vs_twin
    look = code(f"csrr x12, {csr.name}\ncsrr x13, {twin}")
    steps = [
        (f"csrw {csr.name}, x11\ncsrw {twin}, x0", "M"),
        (f"csrrw x14, {csr.name}, x10\ncsrr x15, {csr.name}", "VS"),
        ("", "M"),
        (f"csrw {twin}, x0\ncsrw {csr.name}, x10", "M"),
        (f"csrr x14, {csr.name}", "VS"),
        ("", "M"),
        (f"csrw {csr.name}, x0\ncsrw {twin}, x0", "M"),
    ]
    return [
        Case(f"{csr.name} and {twin}, step {i}", code(text) if text else look, mode, registers=registers,
             controls=controls)
        for i, (text, mode) in enumerate(steps)
    ]


def cases() -> list[Case]:
    """All rows; the writes first, since mtvec and the like are as after reset there."""
    source = random.Random("csrs")
    made = [case for csr in CSRS for case in write_cases(csr, source)]
    made += [case for csr in CSRS for case in access_cases(csr)]
    made += [case for csr in CSRS if csr.vs_twin for case in twin_cases(csr)]
    return made


Results = tuple[list[Case], bytes, bytes]


@pytest.fixture(scope="module")
def everything() -> Results:
    """The cases, and what both machines made of them, in one boot of each."""
    qemu, made = require_oracle("qemu-system-riscv64-10"), cases()
    return made, *run(qemu, f"{qemu_cpu()},smepmp=on,svadu=on,b=on", made, RESET_NAMES)


def without_what_is_ours(found: dict[str, int]) -> dict[str, int]:
    """A result without GVA and the guest's SD, which test_rows compares with the manual."""
    return found | {"mstatus": found["mstatus"] & ~(1 << 38), "vsstatus": found["vsstatus"] & ~(1 << 63)}


def pairs(everything: Results, what: str) -> list[tuple[int, Case, dict[str, int], dict[str, int]]]:
    """(index, case, our result, QEMU's) of the cases whose names say `what` after the CSR's."""
    made, ours, theirs = everything
    return [
        (index, case, without_what_is_ours(result(ours, index)), without_what_is_ours(result(theirs, index)))
        for index, case in enumerate(made)
        if case.name.split()[1] == what
    ]


def test_every_csr_has_qemus_value_at_reset(everything: Results) -> None:
    _, ours, theirs = everything
    values = [[int.from_bytes(ram[8 * i : 8 * i + 8], "little") for i in range(len(RESET_NAMES) + 1)]
              for ram in (ours, theirs)]
    one, two = (dict(zip((*RESET_NAMES, "mtvec"), value, strict=True)) for value in values)
    differ = {name for name in one if one[name] != two[name] and name not in FREE_RUNNING}
    assert {name for name in differ if two[name] == ABSENT} == set(LIKE)
    assert differ - set(LIKE) == set(RESETS)
    assert {name: one[name] for name in one if name not in FREE_RUNNING and one[name] != ABSENT} == {
        csr.name: csr.reset for csr in CSRS if csr.name not in FREE_RUNNING and csr.extension != "F"}
    assert set(one) == {csr.name for csr in CSRS}


def test_writes_change_what_qemus_or_the_manual_says(everything: Results) -> None:
    seen, wrong = set(), []
    for _, case, one, two in pairs(everything, "written,"):
        name = case.name.split()[0]
        seen.add(name)
        free = bits_of(name)
        if name in LIKE:
            assert (one["mcause"], two["mcause"]) == (11, ILLEGAL), case.name
        for register in ("x11", "x12"):
            two[register] = two[register] & ~free | one[register] & free
        if one != two and name not in LIKE:
            wrong.append(f"{case.name} {case.registers[9]:#x}: "
                         f"{[(key, hex(one[key]), hex(two[key])) for key in one if one[key] != two[key]]}")
        write = Write(case.registers[9], one["x11"], "open" in case.name)
        for deviation in DEVIATIONS if one["mcause"] == 11 else ():
            if name in deviation.csrs and (one["x12"] ^ deviation.expected(write)) & deviation.bits:
                wrong.append(f"{case.name} {write.value:#x}: {one['x12']:#x}, not as in {deviation.section}")
    assert wrong == []
    assert seen == {csr.name for csr in CSRS}


def access_explanation(case: Case, cause: int) -> str:
    """Why QEMU 10 may report something else than our `cause`; "" if it should not."""
    name = case.name.split()[0]
    if name in ("senvcfg", "henvcfg", "scontext", "hcontext") and "all closed" in case.name and cause == ILLEGAL:
        return "what mstateen0 closes to HS-mode is not HS-qualified (H: Virtual-Instruction Exception)"
    return ""


def test_every_csr_traps_where_qemus_does(everything: Results) -> None:
    """Reads and writes in each mode under each switch: the same trap, or the same value."""
    made, _, theirs = everything
    seen, wrong, explained = set(), [], set()
    places = {case.name: index for index, case in enumerate(made)}
    for what in ("read", "write"):
        for index, case, one, two in pairs(everything, what):
            name = case.name.split()[0]
            seen.add((name, what))
            alike = places[case.name.replace(name, LIKE.get(name, name), 1)]
            if name in LIKE:
                two = without_what_is_ours(result(theirs, alike))
                same = one["mcause"] == two["mcause"] and one["mepc"] - slot(index) == two["mepc"] - slot(alike)
            else:
                free = U64 if name in FREE_RUNNING else bits_of(name)
                two["x11"] = two["x11"] & ~free | one["x11"] & free
                same = one == two
            if not same and (reason := access_explanation(case, one["mcause"])) and two["mcause"] == VIRTUAL:
                explained.add(reason)
            elif not same:
                wrong.append(f"{case.name}: {[(k, hex(one[k]), hex(two[k])) for k in one if one[k] != two[k]]}")
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
    twins = {}
    for _, case, one, two in pairs(everything, "and"):
        for name in ("x12", "x13", "x14", "x15"):
            two[name] = two[name] & ~(1 << 63) | one[name] & 1 << 63 if "sstatus" in case.name else two[name]
        assert one == two, case.name
        name, _, twin, _, step = case.name.replace(",", "").split()
        twins[name] = twin
        value, other = TWIN_VALUES.get(name, (0x240, 0x80))
        if step == "1":
            assert one["x15"] & value == value, case.name
        if step == "2" and name not in RELOADED:
            assert (one["x12"] & value, one["x13"] & value) == (other & value, value), case.name
        if step == "4" and name not in RELOADED:
            assert one["x14"] & value == 0, case.name
    assert twins == {csr.name: csr.vs_twin for csr in CSRS if csr.vs_twin}
