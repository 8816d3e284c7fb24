"""Guests with deep tables, 64 KiB pages and memory types: equal under every technique, and hidden where asked for."""

from __future__ import annotations

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.isa.extensions import without
from hartvisor.core.isa.paging import SV39X4, SV48X4, SV57X4, smallest_gstage
from hartvisor.core.vmm.compare import COMPARED
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.guest_isa import GUEST_ISA

from .support import assert_equivalent

ROOT = 0x8030_0000
LEVELS = {8: 3, 9: 4, 10: 5}
HANDLER = """
    j .
    .align 2
handler:
    csrr s4, scause
    csrr s5, stval
    addi s6, s6, 1
    csrr t2, sepc
    addi t2, t2, 4
    csrw sepc, t2
    sret
"""


def put(address: int, pte: int) -> str:
    return f"li t0, {address:#x}\nli t1, {pte:#x}\nsd t1, 0(t0)\n"


def tables(mode: int, leaves: dict[int, int]) -> str:
    """Code that makes tables of the mode: a GiB of RAM, and `leaves` by index for the pages from 1 GiB on."""
    depth = LEVELS[mode]
    code = ""
    for level in range(depth - 1, 2, -1):
        place = ROOT + 0x1000 * (depth - 1 - level)
        code += put(place, place + 0x1000 >> 2 | 1)
    top = ROOT + 0x1000 * (depth - 3)
    code += put(top + 2 * 8, 0x8000_0000 >> 2 | 0xCF)
    code += put(top + 1 * 8, top + 0x1000 >> 2 | 1) + put(top + 0x1000, top + 0x2000 >> 2 | 1)
    for index, pte in leaves.items():
        code += put(top + 0x2000 + 8 * index, pte)
    return code + f"li t0, {mode << 60 | ROOT >> 12:#x}\nla t1, handler\ncsrw stvec, t1\ncsrw satp, t0\n"


@pytest.mark.parametrize("mode", LEVELS)
def test_every_depth_is_equal(mode: int) -> None:
    """Mapped and unmapped pages, a change without a fence, an address that is not canonical, and back to Bare."""
    top = ROOT + 0x1000 * (LEVELS[mode] - 3)
    code = tables(mode, {0: 0x8031_0000 >> 2 | 0xC7, 1: 0x8031_1000 >> 2 | 0xC3}) + f"""
        li s0, 0x40000000
        li a0, 0x1234
        sd a0, 0(s0)
        ld a1, 0(s0)
        sd a0, 0x7f8(s0)
        li s1, 0x40001000
        ld a2, 0(s1)
        sd a0, 0(s1)
        li t0, {top + 0x2008:#x}
        li t1, {0x8031_2000 >> 2 | 0xC7:#x}
        sd t1, 0(t0)
        sd a0, 0(s1)
        li s2, {1 << 38 + 9 * (LEVELS[mode] - 3):#x}
        ld a3, 0(s2)
        csrr a4, satp
        csrw satp, zero
        ld a5, -8(s1)
    """ + HANDLER
    vms = assert_equivalent(code, 150)
    assert vms[0].hart.read_gpr(11) == 0x1234
    assert vms[0].hart.read_gpr(22) == 3, "store to a read-only page, not canonical, nothing there"
    assert vms[0].hart.read_gpr(14) == mode << 60 | ROOT >> 12


NAPOT, PBMT = 1 << 63, 1 << 61


@pytest.mark.parametrize(("pte", "faults"), [
    (NAPOT | (0x8031_0000 | 8 << 12) >> 2 | 0xC7, False), (NAPOT | (0x8031_0000 | 4 << 12) >> 2 | 0xC7, True),
    (PBMT | 0x8031_0000 >> 2 | 0xC7, False), (2 * PBMT | 0x8031_0000 >> 2 | 0xC7, False),
    (3 * PBMT | 0x8031_0000 >> 2 | 0xC7, True), (1 << 54 | 0x8031_0000 >> 2 | 0xC7, True)])
def test_the_upper_bits_of_an_entry_mean_the_same_everywhere(pte: int, faults: bool) -> None:
    code = tables(8, dict.fromkeys((0, 5), pte)) + """
        li s0, 0x40000000
        li a0, 0x77
        sd a0, 0(s0)
        li s0, 0x40005000
        sd a0, 8(s0)
        ld a1, 8(s0)
    """ + HANDLER
    vms = assert_equivalent(code, 80)
    assert vms[0].hart.read_gpr(22) == (3 if faults else 0)


@pytest.mark.parametrize(("name", "pte"), [("Svpbmt", PBMT | 0x8031_0000 >> 2 | 0xC7),
                                          ("Svnapot", NAPOT | (0x8031_0000 | 8 << 12) >> 2 | 0xC7)])
def test_a_hidden_form_of_entry_faults(name: str, pte: int) -> None:
    hiding = [technique for technique in COMPARED if name == "Svpbmt" or technique != "two-stage"]
    code = tables(8, {0: pte}) + "li s0, 0x40000000\nld a1, 0(s0)\n" + HANDLER
    vms = assert_equivalent(code, 60, techniques=hiding, isa=without(GUEST_ISA, name))
    assert vms[0].hart.read_gpr(22) == 1


def test_a_hidden_depth_cannot_be_selected() -> None:
    hiding = [technique for technique in COMPARED if technique != "two-stage"]
    source = "li t0, {}\ncsrw satp, t0\ncsrr a0, satp\nj ."
    for mode in (9, 10, 11):
        vms = assert_equivalent(source.format(hex(mode << 60)), 20, techniques=hiding, isa=without(GUEST_ISA, "Sv48"))
        assert vms[0].hart.read_gpr(10) == 0
    with pytest.raises(ConfigError, match=r"without sv48, sv57|without sv57"):
        VmConfig(technique="two-stage", isa=without(GUEST_ISA, "Sv48"))


def test_the_second_stage_is_as_deep_as_guest_memory_needs() -> None:
    assert [smallest_gstage(top) for top in (1 << 33, 1 << 41, (1 << 41) + 1, 1 << 50, (1 << 50) + 1)] == [
        SV39X4, SV39X4, SV48X4, SV48X4, SV57X4]
