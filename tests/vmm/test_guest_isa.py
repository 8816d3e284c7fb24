"""What a guest can be kept from, and that it then finds nothing of it under any technique."""

from __future__ import annotations

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.isa.extensions import DEFAULT_ISA, EXTENSIONS, close, parse_isa, without
from hartvisor.core.vmm.compare import COMPARED
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.guest_isa import GUEST_ISA, HIDING, HOST_ISA, check_guest_isa

from .support import COUNTING_HANDLER, assert_equivalent, start

HOSTED = COMPARED[1:]
HIDDEN_EVERYWHERE = [name for name, (techniques, _) in HIDING.items()
                     if name in GUEST_ISA and set(HOSTED) <= set(techniques) and not name.startswith("Sv")]
CANNOT_HIDE = [row.name for row in EXTENSIONS if row.name in GUEST_ISA and row.name not in HIDDEN_EVERYWHERE
               and not row.is_fact and row.name not in without(GUEST_ISA, row.name)]

_COUNTS_ILLEGAL = """
    la t0, handler
    csrw stvec, t0
    li t1, 7
    csrw scounteren, t1
    {instructions}
    la t0, user
    csrw sepc, t0
    sret
user:
    {instructions}
1:  j 1b
""" + COUNTING_HANDLER


@pytest.mark.parametrize("name", HIDDEN_EVERYWHERE)
def test_hidden_extension_is_illegal_alike_under_every_technique(name: str) -> None:
    instructions = {
        "Zicntr": ["rdcycle a0", "rdtime a0", "rdinstret a0", "csrr a0, hpmcounter3"],
        "Zihpm": ["csrr a0, hpmcounter3", "csrr a0, hpmcounter31", "rdcycle a0"],
        "F": ["li t2, 0x6000", "csrs sstatus, t2", "fadd.s f0, f1, f2", "fcvt.d.w f3, t2", "csrr a0, fcsr"],
        "Zihintpause": ["pause"],
        "Zihintntl": ["ntl.all"],
        "Zicbop": ["prefetch.r 0(zero)"],
        "Zicbom": ["la a0, user", "cbo.clean (a0)", "cbo.inval (a0)"],
        "Zicboz": ["li a0, 0x80400000", "cbo.zero (a0)"],
    }[name]
    isa = without(GUEST_ISA, name)
    source = _COUNTS_ILLEGAL.format(instructions="\n".join(instructions))
    whole = [vm.hart.read_gpr(8) for vm in assert_equivalent(source, 120)]
    less = [vm.hart.read_gpr(8) for vm in assert_equivalent(source, 120, isa=isa)]
    assert len(set(whole)) == len(set(less)) == 1
    assert (less[0] > whole[0]) == (name in ("Zicntr", "Zihpm", "F", "Zicbom", "Zicboz"))


def test_what_a_hart_has_only_when_asked_is_the_bare_machines() -> None:
    for technique in COMPARED:
        with pytest.raises(ConfigError, match="a guest has no Ssaia, Sscsrind: only the bare machine"):
            check_guest_isa(parse_isa("+ssaia", GUEST_ISA), technique)


@pytest.mark.parametrize("technique", HOSTED)
@pytest.mark.parametrize("name", CANNOT_HIDE)
def test_what_nothing_hides_is_refused_by_name(name: str, technique: str) -> None:
    message = rf"a guest cannot be without .*\b{name.lower()}\b.* under {technique}: .*control"
    if technique in HIDING.get(name, ((), ""))[0]:
        return
    with pytest.raises(ConfigError, match=message):
        VmConfig(technique=technique, isa=without(GUEST_ISA, name))


def test_bare_can_be_built_without_anything() -> None:
    check_guest_isa(parse_isa("rv64i"), "bare")


def test_guest_has_nothing_that_lies_beneath_it() -> None:
    with pytest.raises(ConfigError, match="a guest has no H"):
        VmConfig(isa=DEFAULT_ISA)


@pytest.mark.parametrize("technique", COMPARED)
def test_every_extension_is_a_guests_or_is_refused_by_name(technique: str) -> None:
    """What the machine's hart has is the guest's, or can be (Sstc), or is said to lie beneath it."""
    assert GUEST_ISA | {"Sstc"} <= HOST_ISA <= DEFAULT_ISA
    for name in DEFAULT_ISA - GUEST_ISA:
        more = close(GUEST_ISA | {name})
        if name == "Sstc":
            VmConfig(technique=technique, isa=more)
            continue
        needed = next(one for one in (name, "H") if one in more and one in HIDING)
        with pytest.raises(ConfigError, match=rf"a guest has no .*\b{needed}\b"):
            VmConfig(technique=technique, isa=more)


def test_guest_finds_nothing_of_counter_overflows() -> None:
    """scountovf is illegal, LCOFI's bits are zero, and what a hypervisor has of it is refused by name."""
    with pytest.raises(ConfigError, match="a guest has no Sscofpmf"):
        VmConfig(isa=GUEST_ISA | {"Sscofpmf"})
    bits = "li t2, -1\ncsrs sie, t2\ncsrs sip, t2\ncsrr s2, sie\ncsrr s3, sip\ncsrw sie, zero\ncsrw sip, zero"
    vms = assert_equivalent(_COUNTS_ILLEGAL.format(instructions=f"csrr a0, scountovf\n{bits}"), 120)
    assert {(vm.hart.read_gpr(18) & 1 << 13, vm.hart.read_gpr(19) & 1 << 13) for vm in vms} == {(0, 0)}


@pytest.mark.parametrize("technique", COMPARED)
def test_device_tree_tells_the_guests_extensions(technique: str) -> None:
    vm = start("nop", technique, isa=without(GUEST_ISA, "Zihpm"))
    tree = vm.ram.read(vm.hart.read_gpr(11), 4096)
    assert b"zicntr" in tree
    assert b"zihpm" not in tree
