"""Who may read and write which CSR, over every CSR number and every mode (machine chapter, "CSR Address Mapping
Conventions"; H, "Trap Cause Codes": virtual-instruction exceptions)."""

from __future__ import annotations

import pytest

from hartvisor.core.isa import csrs
from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.extensions import DEFAULT_ISA, without

from ..hart.bench import CODE, CSRS, MODES, Bench, number

ILLEGAL, VIRTUAL = 2, 22

# A write of the value just read changes nothing but what reading and writing trap on.
RULES = {
    "plain": {},
    "TVM": {"mstatus": 1 << 20},
    "VTVM": {"hstatus": 1 << 20},
    "TVM and VTVM": {"mstatus": 1 << 20, "hstatus": 1 << 20},
}


def verdict(
    num: int, mode: str, is_write: bool, tvm: bool, vtvm: bool, gates: tuple[int, int, int], has_h: bool
) -> int:
    """The exception that an access gets, 0 for none: from the number's bits and the manual's text alone.

    gates: mcounteren, hcounteren, scounteren.
    """
    isa = DEFAULT_ISA if has_h else without(DEFAULT_ISA, "H")
    exists = num in csrs.BY_NUMBER and csrs.BY_NUMBER[num].exists_in(isa)
    owner = {0: "U", 1: "S", 2: "H", 3: "M"}[num >> 8 & 3]
    if not exists or (is_write and num >> 10 == 3):
        return ILLEGAL
    if 1 <= num <= 3:
        return ILLEGAL  # fcsr and its parts: FS is off after reset
    if mode == "M":
        return 0
    if 0xC00 <= num < 0xC20:
        by_m, by_h, by_s = (gate >> num % 32 & 1 for gate in gates)
        if not by_m:
            return ILLEGAL
        if mode in ("VS", "VU") and not by_h:
            return VIRTUAL
        if mode in ("U", "VU") and not by_s:
            return VIRTUAL if mode == "VU" else ILLEGAL
        return 0
    if owner == "M" or num in (0x14D, 0x24D):  # menvcfg.STCE is 0 here; test_sstc has the rest
        return ILLEGAL
    if owner == "U":
        return 0
    if mode == "U":
        return ILLEGAL
    if mode == "HS":
        return ILLEGAL if tvm and num in (0x180, 0x680) else 0
    if mode == "VU" or owner == "H":
        return VIRTUAL  # HS-mode could, if TVM were 0
    return VIRTUAL if vtvm and num == 0x180 else 0


def outcome(bench: Bench, source: str, mode: str) -> int:
    """Execute one instruction in the mode: the exception's cause, or 0."""
    bench.memory.write(CODE, assemble(source).code)
    bench.hart.pc = CODE
    bench.enter(mode)
    traps = bench.hart.guest_traps
    bench.hart.run(1)
    return bench["mcause"] if bench.hart.guest_traps > traps else 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("rule", RULES)
def test_every_number_in_every_mode(mode: str, rule: str) -> None:
    """Reads of all 4096 numbers."""
    bench = Bench()
    for name, value in RULES[rule].items():
        bench[name] = value
    numbers = range(4096) if rule == "plain" else csrs.BY_NUMBER
    wrong = {}
    for num in numbers:
        got = outcome(bench, f"csrr x5, {num:#x}", mode)
        want = verdict(num, mode, False, "TVM" in rule.split(), "VTVM" in rule, (0, 0, 0), True)
        if got != want:
            wrong[hex(num)] = (got, want)
    assert wrong == {}, "number: (got, want)"


@pytest.mark.parametrize("mode", MODES)
def test_every_csr_is_writable_where_it_should_be(mode: str) -> None:
    wrong = {}
    for csr in CSRS:
        bench = Bench()
        bench.set(x6=bench[csr.name])
        got = outcome(bench, f"csrrw x5, {csr.number:#x}, x6", mode)
        want = verdict(csr.number, mode, True, False, False, (0, 0, 0), True)
        if got != want:
            wrong[csr.name] = (got, want)
    assert wrong == {}, "CSR: (got, want)"


@pytest.mark.parametrize("mode", ["M", "HS", "U"])
def test_without_the_hypervisor_extension_its_csrs_do_not_exist(mode: str) -> None:
    bench = Bench(has_h=False)
    for csr in csrs.CSRS:
        got = outcome(bench, f"csrr x5, {csr.number:#x}", mode)
        assert got == verdict(csr.number, mode, False, False, False, (0, 0, 0), False), csr.name


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("gates", [(m, h, s) for m in (0, 1) for h in (0, 1) for s in (0, 1)])
def test_counters_are_gated_mode_by_mode(mode: str, gates: tuple[int, int, int]) -> None:
    """mcounteren, hcounteren, scounteren: illegal where M or (without V) S denies, else virtual."""
    for num in (0xC00, 0xC01, 0xC02, 0xC03, 0xC1F):
        bench = Bench()
        bits = tuple(gate << num % 32 for gate in gates)
        bench["mcounteren"], bench["hcounteren"], bench["scounteren"] = bits
        assert outcome(bench, f"csrr x5, {num:#x}", mode) == verdict(num, mode, False, False, False, bits, True), hex(
            num
        )


@pytest.mark.parametrize(
    "source", ["csrrs x5, cycle, x0", "csrrc x5, cycle, x0", "csrrsi x5, cycle, 0", "csrrci x5, cycle, 0"]
)
def test_setting_or_clearing_with_x0_or_0_writes_nothing(source: str) -> None:
    assert outcome(Bench(), source, "M") == 0


@pytest.mark.parametrize(
    "source",
    [
        "csrrs x5, cycle, x6",
        "csrrc x5, cycle, x6",
        "csrrsi x5, cycle, 1",
        "csrrci x5, cycle, 1",
        "csrrw x0, cycle, x0",
        "csrrwi x0, cycle, 0",
    ],
)
def test_any_other_is_a_write_even_of_nothing(source: str) -> None:
    """A register that holds 0 still counts as a write."""
    bench = Bench()
    assert outcome(bench, source, "M") == ILLEGAL
    assert bench["mtval"] == int.from_bytes(assemble(source).code, "little")


@pytest.mark.parametrize(
    ("source", "new"),
    [
        ("csrrw x5, sscratch, x6", 0x0F),
        ("csrrs x5, sscratch, x6", 0x3F),
        ("csrrc x5, sscratch, x6", 0x30),
        ("csrrwi x5, sscratch, 21", 21),
        ("csrrsi x5, sscratch, 5", 0x35),
        ("csrrci x5, sscratch, 21", 0x2A),
    ],
)
def test_the_six_instructions(source: str, new: int) -> None:
    bench = Bench(source)
    bench["sscratch"] = 0x30 if "csrrci" not in source else 0x3F
    old = bench["sscratch"]
    bench.set(x6=0x0F)
    bench.hart.run(1)
    assert (bench.x(5), bench["sscratch"]) == (old, new)


def test_the_same_register_may_be_read_and_written() -> None:
    bench = Bench("csrrw x5, sscratch, x5")
    bench["sscratch"] = 1
    bench.set(x5=2)
    bench.hart.run(1)
    assert (bench.x(5), bench["sscratch"]) == (1, 2)


TWINS = [(csr.name, csr.vs_twin) for csr in CSRS if csr.vs_twin]


@pytest.mark.parametrize(("name", "twin"), TWINS)
def test_in_vs_mode_the_supervisors_numbers_name_the_vs_copies(name: str, twin: str) -> None:
    for mode, changed in (("HS", name), ("VS", twin)):
        bench = Bench(f"csrrw x5, {name}, x6\ncsrr x7, {name}")
        bench["mideleg"] = bench["hideleg"] = 0xFFFF
        bench["menvcfg"] = bench["henvcfg"] = 1 << 63
        bench["mcounteren"] = bench["hcounteren"] = 2
        bench.set(x6=2 if name != "satp" else 1 << 44)
        bench.enter(mode)
        before = {other: bench[other] for other in (name, twin)}
        bench.hart.run(1)
        after = {other: bench[other] for other in (name, twin)}
        assert [other for other in before if before[other] != after[other]] == [changed], mode
        assert bench.x(5) == before[changed]


def test_csrs_without_a_vs_copy_are_the_same_in_vs_mode() -> None:
    for name in ("senvcfg", "scounteren"):
        bench = Bench(f"csrwi {name}, 1", mode="VS")
        bench.hart.run(1)
        assert bench[name] == 1


def test_python_sees_csrs_by_number_without_permission_checks() -> None:
    bench = Bench(has_h=False, mode="U")
    assert bench["misa"] >> 7 & 1 == 0
    for num in (0x600, 0x200, 0x7C0, 4096, -1):
        with pytest.raises(KeyError):
            bench.hart.read_csr(num)
        with pytest.raises(KeyError):
            bench.hart.write_csr(num, 0)
    with pytest.raises(KeyError):
        bench.hart.write_csr(number("cycle"), 0)
