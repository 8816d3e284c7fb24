"""Cases that go through CSR rows, and what their results on QEMU and on our hart must have in common."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.csrs import Csr

from .board import FS_DIRTY, MODES, Case, result, slot
from .csr_deviations import Deviation, Write

U64 = (1 << 64) - 1
ECALL_FROM_M, ILLEGAL, VIRTUAL = 11, 2, 22

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


Results = tuple[list[Case], bytes, bytes]
"""The cases, and what our hart and QEMU made of them."""


def without_what_is_ours(found: dict[str, int]) -> dict[str, int]:
    """A result without GVA and the guest's SD, which test_rows compares with the manual."""
    return found | {"mstatus": found["mstatus"] & ~(1 << 38), "vsstatus": found["vsstatus"] & ~(1 << 63)}


def pairs(results: Results, what: str) -> list[tuple[int, Case, dict[str, int], dict[str, int]]]:
    """(index, case, our result, QEMU's) of the cases whose names say `what` after the CSR's."""
    made, ours, theirs = results
    return [
        (index, case, without_what_is_ours(result(ours, index)), without_what_is_ours(result(theirs, index)))
        for index, case in enumerate(made)
        if case.name.split()[1] == what
    ]


def free_bits(name: str, deviations: Sequence[Deviation], whole: Sequence[str] = ()) -> int:
    """The bits of a CSR that are not compared with QEMU's; all for those in `whole`."""
    bits = U64 if name in whole else 0
    for deviation in deviations:
        bits |= deviation.bits if name in deviation.csrs else 0
    return bits


def shown(one: dict[str, int], two: dict[str, int]) -> str:
    """What differs: (ours, QEMU's)."""
    return str({name: (hex(one[name]), hex(two[name])) for name in one if one[name] != two[name]})


def wrong_writes(results: Results, deviations: Sequence[Deviation], whole: Sequence[str] = (),
                 like: Sequence[str] = ()) -> tuple[set[str], list[str]]:
    """The CSRs written, and a line for each write that changed neither what QEMU's nor what a deviation says.

    like: those that QEMU lacks.
    """
    seen, wrong = set(), []
    for _, case, one, two in pairs(results, "written,"):
        name = case.name.split()[0]
        seen.add(name)
        free = free_bits(name, deviations, whole)
        if name in like:
            assert (one["mcause"], two["mcause"]) == (ECALL_FROM_M, ILLEGAL), case.name
        for register in ("x11", "x12"):
            two[register] = two[register] & ~free | one[register] & free
        if one != two and name not in like:
            wrong.append(f"{case.name} {case.registers[9]:#x}: {shown(one, two)}")
        write = Write(case.registers[9], one["x11"], "open" in case.name)
        for deviation in deviations if one["mcause"] == ECALL_FROM_M else ():
            if name in deviation.csrs and (one["x12"] ^ deviation.expected(write)) & deviation.bits:
                wrong.append(f"{case.name} {write.value:#x}: {one['x12']:#x}, not as in {deviation.section}")
    return seen, wrong


def wrong_accesses(results: Results, free: Callable[[str], int], like: dict[str, str],
                   explanation: Callable[[Case, int, int], str]) -> tuple[set[tuple[str, str]], list[str], set[str]]:
    """The (CSR, read or write) that were tried; a line for each that trapped or read otherwise than QEMU's; and the
    reasons why some may.

    free: a CSR's bits that are not compared. like: a CSR that QEMU lacks to the one whose accesses trap alike.
    explanation: of a case, our cause and QEMU's.
    """
    made, _, theirs = results
    seen, wrong, explained = set(), [], set()
    places = {case.name: index for index, case in enumerate(made)}
    for what in ("read", "write"):
        for index, case, one, two in pairs(results, what):
            name = case.name.split()[0]
            seen.add((name, what))
            if name in like:
                alike = places[case.name.replace(name, like[name], 1)]
                two = without_what_is_ours(result(theirs, alike))
                same = one["mcause"] == two["mcause"] and one["mepc"] - slot(index) == two["mepc"] - slot(alike)
            else:
                bits = free(name)
                two["x11"] = two["x11"] & ~bits | one["x11"] & bits
                same = one == two
            if not same and (reason := explanation(case, one["mcause"], two["mcause"])):
                explained.add(reason)
            elif not same:
                wrong.append(f"{case.name}: {shown(one, two)}")
    return seen, wrong, explained


def resets(ram: bytes, names: Sequence[str]) -> dict[str, int]:
    """What the CSRs held at reset, from what `board.run` gave for these names; mtvec's too."""
    return {name: int.from_bytes(ram[8 * i : 8 * i + 8], "little") for i, name in enumerate((*names, "mtvec"))}


def wrong_twins(results: Results, empty: Sequence[str] = ()) -> tuple[dict[str, str], list[str]]:
    """The supervisor's CSRs tried and their VS twins, and a line for each step that went wrong.

    empty: CSRs that hold nothing here, and of which only the traps count.
    """
    twins, wrong = {}, []
    for _, case, one, two in pairs(results, "and"):
        for register in ("x12", "x13", "x14", "x15"):
            sd = 1 << 63 if "sstatus" in case.name else 0
            two[register] = two[register] & ~sd | one[register] & sd
        name, _, twin, _, step = case.name.replace(",", "").split()
        twins[name] = twin
        value, other = TWIN_VALUES.get(name, (0x240, 0x80))
        kept = {
            "1": one["x15"] & value == value,
            "2": name in RELOADED or (one["x12"] & value, one["x13"] & value) == (other & value, value),
            "4": name in RELOADED or one["x14"] & value == 0,
        }
        if one != two or (name not in empty and not kept.get(step, True)):
            wrong.append(f"{case.name}: {shown(one, two)} {one['x12']:#x} {one['x13']:#x} {one['x15']:#x}")
    return twins, wrong
