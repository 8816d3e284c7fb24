"""Sv39 and Sv39x4 against a plain walker, over random page tables; what faults report."""

from __future__ import annotations

import random

import pytest

from hartvisor.core.hart import Hart, Memory
from hartvisor.core.isa import causes
from hartvisor.core.isa.assembler import assemble

from .bench import DATA, M_VECTOR, MODES, RAM, Bench, number
from .tables import ALL, Tables, U, pte
from .walker import FETCH, LOAD, STORE, Fault, Walker

SIZE = 1 << 18
FRAMES = SIZE >> 12
SEEDS = 60


def random_pte(rng: random.Random, next_table: int | None) -> int:
    """An entry that may be anything, but is often right."""
    kind = rng.random()
    frame = RAM + (rng.randrange(FRAMES) << 12)
    if next_table is not None and kind < 0.7:
        return pte(next_table if kind < 0.65 else 0x1000_0000, 1 | (rng.getrandbits(8) if rng.random() < 0.1 else 0))
    if kind < 0.75:
        return rng.getrandbits(64)
    if kind < 0.80:
        return pte(rng.choice((frame, 0x1000_0000, 1 << 45, 0)), rng.getrandbits(10) | 1) | 1 << rng.randrange(54, 64)
    if next_table is not None and kind < 0.9:
        return pte(
            RAM & ~((1 << 30) - 1) if rng.random() < 0.7 else frame,
            rng.choice((0xCF, 0xDF, 0xC9, rng.getrandbits(10) | 1)),
        )
    good = rng.choice((0xCF, 0xDF, 0xD3, 0xC9, 0xD9, 0x4F, 0x8F, 0xC7, 0xDB))
    return pte(
        frame if rng.random() < 0.9 else rng.choice((0x1000_0000, 1 << 45)),
        rng.choice((good, good, rng.getrandbits(10) | 1)),
    )


def random_tables(rng: random.Random, memory: Memory, place: int, gstage: bool) -> int:
    """Tables at `place` whose upper entries mostly lead to each other; returns the atp value (mode 8)."""
    root_size = 0x4000 if gstage else 0x1000
    level1, level0 = place + root_size, place + root_size + 0x1000
    for index in (0, 2, 511, *((512, 2047) if gstage else ())):
        memory.store(place + 8 * index, 8, random_pte(rng, level1))
    for index in (0, 1, 511):
        memory.store(level1 + 8 * index, 8, random_pte(rng, level0))
    for index in range(64):
        memory.store(level0 + 8 * index, 8, random_pte(rng, None))
    if gstage:
        # A guest must be able to reach its tables now and then: RAM mostly is where it is.
        for index in range(64):
            if rng.random() < 0.8:
                memory.store(level0 + 8 * index, 8, pte(RAM + (index << 12), 0xDF))
    return 8 << 60 | place >> 12


def addresses(rng: random.Random, count: int) -> list[int]:
    """Virtual addresses that select the entries which random_tables fills."""
    found = []
    for _ in range(count):
        va = (
            rng.choice((0, 2, 511)) << 30
            | rng.choice((0, 0, 1, 511)) << 21
            | rng.randrange(64) << 12
            | rng.randrange(4096)
        )
        if va >> 38 & 1 and rng.random() < 0.9:
            va |= (1 << 64) - (1 << 39)
        if rng.random() < 0.03:
            va ^= 1 << rng.randrange(39, 64)
        found.append(va)
    return found


def walker_of(bench: Bench, privilege: int, virtual: bool) -> Walker:
    """The reference walker for what an access of this mode would see."""
    memory = bench.memory
    status, vsstatus = bench["mstatus"], bench["vsstatus"]
    return Walker(
        lambda address: memory.load(address, 8) if memory.contains(address, 8) else None,
        satp=bench["vsatp" if virtual else "satp"],
        hgatp=bench["hgatp"] if virtual else 0,
        is_guest=virtual,
        is_user=privilege == 0,
        sum=bool((vsstatus if virtual else status) >> 18 & 1),
        mxr=bool(status >> 19 & 1),
        vmxr=bool(vsstatus >> 19 & 1),
    )


def expected(walker: Walker, va: int, access: int, is_hlvx: bool = False) -> tuple[int, Fault | None]:
    """The physical address, or the fault."""
    try:
        return walker.translate(va, access, is_hlvx), None
    except Fault as fault:
        return 0, fault


def randomized(seed: int) -> tuple[random.Random, Bench]:
    """A machine with random tables for every stage and random SUM, MXR and modes of satp, vsatp, hgatp."""
    rng = random.Random(seed)
    bench = Bench(size=SIZE)
    for name, place in (("satp", RAM + 0x8000), ("vsatp", RAM + 0x10000), ("hgatp", RAM + 0x18000)):
        atp = random_tables(rng, bench.memory, place, name == "hgatp")
        bench[name] = atp if rng.random() < 0.85 else 0
    bench["mstatus"] = rng.getrandbits(2) << 18
    bench["vsstatus"] = rng.getrandbits(2) << 18
    return rng, bench


@pytest.mark.parametrize("mode", ["HS", "U", "VS", "VU"])
def test_walks_end_where_the_manuals_algorithm_does(mode: str) -> None:
    outcomes = set()
    for seed in range(SEEDS):
        rng, bench = randomized(seed)
        bench.enter(mode)
        walker = walker_of(bench, *MODES[mode])
        for va in addresses(rng, 100):
            access = rng.choice((FETCH, LOAD, STORE))
            hpa, fault = expected(walker, va, access)
            assert bench.hart.translate(va, access) == (hpa, fault.cause if fault else 0), f"{seed=} {va=:#x} {access=}"
            outcomes.add(fault.cause if fault else 0)
    assert outcomes >= {0, 1, 5, 7, 12, 13, 15} | ({20, 21, 23} if mode in ("VS", "VU") else set())


CODE_FRAME = RAM + 0x3F000
"""M-mode reaches into the other modes with MPRV, so that the code itself is never translated."""


def set_up_mprv(bench: Bench, mode: str) -> None:
    privilege, virtual = MODES[mode]
    bench["mstatus"] = bench["mstatus"] & ~(3 << 11 | 1 << 39) | 1 << 17 | privilege << 11 | virtual << 39
    bench.hart.pc = CODE_FRAME


@pytest.mark.parametrize("mode", ["HS", "U", "VS", "VU"])
def test_loads_and_stores_under_mprv_reach_what_the_walk_finds(mode: str) -> None:
    """Hits in the translation cache included: every address is used again and again, between other modes' accesses."""
    load, store = assemble("lbu x5, (x6)").code, assemble("sb x7, (x6)").code
    for seed in range(SEEDS // 3):
        rng, bench = randomized(seed)
        set_up_mprv(bench, mode)
        walker = walker_of(bench, *MODES[mode])
        pool = addresses(rng, 12)
        for _ in range(120):
            va = rng.choice(pool)
            is_store = rng.random() < 0.4
            bench.memory.write(CODE_FRAME, store if is_store else load)
            bench.hart.pc = CODE_FRAME
            bench.set(x5=0, x6=va, x7=rng.getrandbits(8))
            hpa, fault = expected(walker, va, STORE if is_store else LOAD)
            if fault is None and not bench.memory.contains(hpa):
                continue
            if fault is None and is_store and hpa >= CODE_FRAME:
                continue
            before = bench.memory.load(hpa, 1) if fault is None else 0
            if fault is not None:
                trap = bench.trap()
                assert (trap.cause, trap.tval) == (fault.cause, va), f"{seed=}"
                assert bench["mtval2"] == fault.gpa >> 2
                assert bench["mstatus"] >> 38 & 1 == MODES[mode][1], "GVA"
                assert (bench["mtinst"] == 0x3000) == fault.is_implicit
                set_up_mprv(bench, mode)
                continue
            bench.hart.run(1)
            assert bench.hart.pc == CODE_FRAME + 4, f"{seed=} {va=:#x}"
            assert (bench.memory.load(hpa, 1) == bench.x(7) & 255) if is_store else bench.x(5) == before, (
                f"{seed=} {va=:#x}"
            )


@pytest.mark.parametrize("spvp", [0, 1])
def test_guest_accesses_of_hs_mode_reach_what_the_walk_finds(spvp: int) -> None:
    """HLV, HLVX and HSV act as VS-mode (SPVP=1) or VU-mode would; HLVX needs execute instead of read permission."""
    names = {"hlv.bu x5, (x6)": LOAD, "hlvx.hu x5, (x6)": LOAD, "hsv.b x7, (x6)": STORE}
    for seed in range(SEEDS):
        rng, bench = randomized(seed)
        bench.memory.fill_zero(CODE_FRAME, 0x1000)
        bench["satp"] = 0
        bench["hstatus"] = spvp << 8
        bench.delegate_all()
        walker = walker_of(bench, spvp, True)
        for va in addresses(rng, 40):
            source, access = rng.choice(list(names.items()))
            is_hlvx = source.startswith("hlvx")
            va &= ~1
            bench.memory.write(CODE_FRAME, assemble(source).code)
            bench.hart.pc = CODE_FRAME
            bench.enter("HS")
            bench["hstatus"] = spvp << 8
            bench.set(x5=0, x6=va, x7=0xA5)
            hpa, fault = expected(walker, va, access, is_hlvx)
            if fault is None and not bench.memory.contains(hpa, 2):
                continue
            if fault is not None:
                trap = bench.trap()
                assert (trap.mode, trap.cause, trap.tval) == ("HS", fault.cause, va), f"{seed=} {source}"
                assert bench["htval"] == fault.gpa >> 2
                assert bench["hstatus"] & 0x1C0 == 1 << 6 | spvp << 8, "GVA=1 and SPV=0; SPVP unchanged: V was 0"
                insn = int.from_bytes(assemble(source).code, "little")
                assert bench["htinst"] == (0x3000 if fault.is_implicit else insn & ~(31 << 15))
                continue
            value = bench.memory.load(hpa, 2 if is_hlvx else 1)
            bench.hart.run(1)
            assert bench.mode == "HS" and bench.hart.pc == CODE_FRAME + 4, f"{seed=} {source}"
            assert bench.memory.load(hpa, 1) == 0xA5 if access == STORE else bench.x(5) == value


class TestTwoStageFaults:
    """What a guest-page fault tells HS-mode (H, "Trap Entry", "htval", "htinst")."""

    @staticmethod
    def guest(source: str, mode: str = "VS", vs_flags: int = ALL) -> tuple[Bench, Tables, Tables]:
        """A guest at GVA 0x1000 = GPA 0x1000, whose GPA n is at RAM + 0x10000 + n."""
        bench = Bench(mode="M")
        host = Tables(bench.memory, RAM + 0x4000, gstage=True)
        for page in range(16):
            host.map(page << 12, DATA + (page << 12), ALL | U)
        user = U if mode == "VU" else 0
        own = Tables(bench.memory, DATA + 0x8000, offset=DATA)
        own.map(0x1000, 0x1000, vs_flags | user)
        own.map(0x2000, 0x2000, vs_flags | user)
        bench.put(source, DATA + 0x1000)
        bench.delegate_all()
        bench["hgatp"], bench["vsatp"] = host.satp, own.satp
        bench.enter(mode)
        bench.hart.pc = 0x1000
        bench.set(x6=0x2000, x8=0x2000)
        return bench, host, own

    @pytest.mark.parametrize(
        ("source", "cause", "tinst"),
        [
            ("lw x5, 12(x6)", 21, 0x00002283),
            ("sd x5, 12(x6)", 23, 0x00503023),
            ("amoadd.w x5, x7, (x6)", 23, 0x007022AF),
            ("lr.d x5, (x6)", 21, 0x100032AF),
            ("sc.w.rl x5, x7, (x6)", 23, 0x1A7022AF),
            ("c.lw x9, 12(x8)", 21, 0x00002481),
            ("c.sd x9, 8(x8)", 23, 0x00903021),
        ],
    )
    @pytest.mark.parametrize("mode", ["VS", "VU"])
    def test_an_explicit_access_leaves_the_transformed_instruction(
        self, source: str, cause: int, tinst: int, mode: str
    ) -> None:
        bench, host, _ = self.guest(source, mode)
        host.map(0x2000, DATA + 0x2000, ALL)  # no U: the G-stage checks as U-mode
        trap = bench.trap()
        offset = 12 if "12(" in source else 8 if "8(" in source and source.startswith("c.") else 0
        assert (trap.mode, trap.cause, trap.tval, trap.epc) == ("HS", cause, 0x2000 + offset, 0x1000)
        assert bench["htval"] == 0x2000 + offset >> 2
        assert bench["htinst"] == tinst
        assert bench["hstatus"] & 0x1C0 == 0xC0 | (mode == "VS") << 8, "GVA, SPV, SPVP"

    def test_the_address_offset_counts_where_a_misaligned_access_crosses_pages(self) -> None:
        bench, _, own = self.guest("ld x5, -4(x6)")
        own.map(0x3000, 0x9_0000)
        own.map(0x2000, 0x2000, ALL)
        bench.set(x6=0x3000)
        trap = bench.trap()
        assert (trap.cause, trap.tval) == (21, 0x3000)
        assert bench["htval"] == 0x9_0000 >> 2
        assert bench["htinst"] == 0x3283 | 4 << 15

    def test_a_page_table_that_the_host_hides_leaves_the_pseudoinstruction(self) -> None:
        bench, host, own = self.guest("sw x5, 12(x6)")
        entry = own.entry(0x2000) - DATA
        bench.hart.run(0)
        host.map(entry & ~0xFFF, DATA + (entry & ~0xFFF), ALL)
        trap = bench.trap()
        # The fetch walks the same table first, and reports its own kind of fault.
        assert (trap.cause, trap.tval) == (20, 0x1000)
        assert bench["htval"] << 2 == entry - 8
        assert bench["htinst"] == 0x3000

    def test_a_fetch_has_no_transformed_instruction(self) -> None:
        bench, host, _ = self.guest("nop")
        host.map(0x1000, DATA + 0x1000, (ALL | U) & ~8)
        trap = bench.trap()
        assert (trap.cause, trap.tval, bench["htval"], bench["htinst"]) == (20, 0x1000, 0x400, 0)

    def test_the_second_half_of_an_instruction_faults_at_its_own_address(self) -> None:
        bench, host, own = self.guest("nop")
        own.map(0x2000, 0x5000)
        bench.put("addi x5, x5, 1", DATA + 0x1FFE)
        host.map(0x5000, 0, 0)
        bench.hart.pc = 0x1FFE
        trap = bench.trap()
        assert (trap.cause, trap.tval, trap.epc, bench["htval"]) == (20, 0x2000, 0x1FFE, 0x5000 >> 2)

    def test_the_guests_own_page_faults_go_to_it_if_delegated(self) -> None:
        bench, _, _ = self.guest("sw x5, (x6)", vs_flags=ALL & ~0x80)
        bench.delegate_all(to_vs=True)
        trap = bench.trap()
        assert (trap.mode, trap.cause, trap.tval) == ("VS", causes.STORE_PAGE_FAULT, 0x2000)

    def test_a_guest_page_fault_never_goes_to_the_guest(self) -> None:
        bench, host, _ = self.guest("sw x5, (x6)")
        bench.delegate_all(to_vs=True)
        host.map(0x2000, 0, 0)
        assert bench.trap().mode == "HS"

    def test_m_mode_gets_the_same_facts(self) -> None:
        bench, host, _ = self.guest("sw x5, 12(x6)")
        bench["medeleg"] = 0
        host.map(0x2000, 0, 0)
        trap = bench.trap()
        assert (trap.mode, trap.cause, bench["mtval2"], bench["mtinst"]) == ("M", 23, 0x200C >> 2, 0x00502023)
        assert bench["mstatus"] >> 38 & 3 == 3, "GVA and MPV"


def test_a_page_crossing_access_checks_its_lower_page_first_and_stores_nothing_on_a_fault() -> None:
    for lower, upper, tval in ((0, 0, 0x1FFC), (0, ALL, 0x1FFC), (ALL, 0, 0x2000), (ALL, ALL, None)):
        bench = Bench("sd x5, (x6)")
        tables = Tables(bench.memory, RAM + 0x8000)
        tables.identity(RAM, 4)
        tables.map(0x1000, DATA, lower)
        tables.map(0x2000, DATA + 0x3000, upper)
        bench["satp"] = tables.satp
        bench.enter("HS")
        bench.set(x5=0x1122334455667788, x6=0x1FFC)
        if tval is not None:
            trap = bench.trap()
            assert (trap.cause, trap.tval) == (causes.STORE_PAGE_FAULT, tval)
            assert bench.memory.load(DATA + 0xFFC, 4) == bench.memory.load(DATA + 0x3000, 4) == 0
        else:
            bench.hart.run(1)
            assert (bench.memory.load(DATA + 0xFFC, 4), bench.memory.load(DATA + 0x3000, 4)) == (0x55667788, 0x11223344)


def test_an_instruction_across_pages_needs_both() -> None:
    bench = Bench()
    tables = Tables(bench.memory, RAM + 0x8000)
    tables.map(0x1000, DATA)
    second = tables.map(0x2000, DATA + 0x3000, ALL & ~8)
    insn = int.from_bytes(assemble("addi x5, x0, 9").code, "little")
    bench.memory.store(DATA + 0xFFE, 2, insn & 0xFFFF)
    bench.memory.store(DATA + 0x3000, 2, insn >> 16)
    bench["satp"] = tables.satp
    bench.enter("HS")
    bench.hart.pc = 0x1FFE
    trap = bench.trap()
    assert (trap.cause, trap.tval, trap.epc) == (causes.INSTRUCTION_PAGE_FAULT, 0x2000, 0x1FFE)
    assert trap.mode == "M"
    bench.memory.store(second, 8, pte(DATA + 0x3000, ALL))
    bench.enter("HS")
    bench.hart.pc = 0x1FFE
    assert bench.hart.fetch_insn() == insn
    bench.hart.run(1)
    assert (bench.x(5), bench.hart.pc) == (9, 0x2002)


def test_looking_changes_nothing() -> None:
    """translate and fetch_insn count nothing and leave a waiting exception as it is."""
    bench = Bench("hlv.w x5, (x6)", mode="HS")
    bench.set(x6=0x1000_0000)
    bench.delegate_all()
    bench.hart.run(1)
    bench.hart.fault_mmio()
    counts = (bench.hart.tlb_misses, bench.hart.walks, bench.hart.walk_reads)
    bench.hart.translate(0x1000, LOAD)
    assert bench.hart.fetch_insn() == 0x680342F3
    assert (bench.hart.tlb_misses, bench.hart.walks, bench.hart.walk_reads) == counts
    bench.trap()
    assert bench["hstatus"] >> 6 & 1 == 1


def test_a_full_two_stage_walk_reads_fifteen_entries() -> None:
    """(v+1)(g+1)-1 for Sv39 on Sv39x4."""
    bench, _, _ = TestTwoStageFaults.guest("nop")
    bench.hart.run(1)
    assert (bench.hart.walks, bench.hart.walk_reads) == (1, 15)


def test_new_harts_start_in_machine_mode() -> None:
    hart = Hart(Memory(1 << 16))
    assert (hart.privilege, hart.virtual, hart.read_csr(number("satp")), hart.steps) == (3, False, 0, 0)
    assert M_VECTOR > RAM
