"""Every paging mode in both stages, Svadu, Svnapot and Svpbmt, against the plain walker over random page tables."""

from __future__ import annotations

import random
from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hartvisor.core.hart import EXIT_MMIO, Hart
from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.extensions import DEFAULT_ISA, without

from .bench import MODES, RAM, U64, Bench, copy_memory, number
from .tables import ALL, A, D, Tables, U, V, pte
from .walker import ADDRESS_BITS, FETCH, LOAD, STORE, Fault, Stage, Walker

SIZE = 1 << 18
ADUE, PBMTE = 1 << 61, 1 << 62
N, PBMT = 1 << 63, 1 << 61
CODE_FRAME = RAM + 0x3F000
FLAGS = (0xCF, 0xDF, 0x4F, 0x5F, 0x0F, 0x1F, 0xC7, 0xD3, 0xC9, 0x19)


def random_entry(rng: random.Random, below: int | None, user: int) -> int:
    """An entry that may be anything but is mostly right: a pointer to `below`, or a leaf."""
    kind = rng.random()
    frame = RAM + (rng.randrange(SIZE >> 12) << 12)
    if below is not None and kind < 0.85:
        return pte(below, V) | (rng.choice((A, D, U, PBMT, N, 1 << 54)) if rng.random() < 0.04 else 0)
    if kind < 0.02:
        return rng.getrandbits(64)
    upper = 0
    if rng.random() < 0.25:
        upper = rng.choice((N, N, PBMT, 2 * PBMT, 3 * PBMT, N | PBMT, 1 << 54, 1 << 60))
    if upper & N and rng.random() < 0.8:
        frame = frame & ~0xFFFF | 0x8000
    if below is not None and rng.random() < 0.8:
        frame = RAM & ~((1 << 30) - 1)
    return pte(frame, rng.choice(FLAGS) ^ (user if rng.random() < 0.9 else 0)) | upper


def random_tables(rng: random.Random, bench: Bench, place: int, mode: int, gstage: bool, user: int) -> int:
    """Tables at `place`, one of each level, whose entries for RAM and for the first pages mostly work."""
    depth = (ADDRESS_BITS[mode] - 12) // 9
    table, size = place, 0x4000 if gstage else 0x1000
    for level in range(depth - 1, 0, -1):
        below = table + size
        for index in {RAM >> 12 + 9 * level & 511, 0, 511, *((512, 2047) if gstage and level == depth - 1 else ())}:
            bench.memory.store(table + 8 * index, 8, random_entry(rng, below, user))
        table, size = below, 0x1000
    for index in range(64):
        entry = random_entry(rng, None, user)
        if gstage and rng.random() < 0.7:  # a guest finds its tables where they are
            entry = pte(RAM + (index << 12), rng.choice((0xDF, 0xDF, 0x5F, 0x1F, 0xD3, 0x13)))
        bench.memory.store(table + 8 * index, 8, entry)
    return mode << 60 | place >> 12


def random_bench(seed: int, mode: str) -> tuple[random.Random, Bench]:
    """A machine whose three sets of tables, their modes, SUM, MXR, ADUE and PBMTE are random."""
    rng = random.Random(seed)
    bench = Bench(size=SIZE)
    user = U if MODES[mode][0] == 0 else 0
    for name, place in (("satp", RAM + 0x8000), ("vsatp", RAM + 0x10000), ("hgatp", RAM + 0x18000)):
        paging = rng.choice((8, 9, 10))
        atp = random_tables(rng, bench, place, paging, name == "hgatp", 0 if name == "hgatp" else user)
        bench[name] = atp if rng.random() < 0.9 else 0
    bench["mstatus"] = rng.getrandbits(2) << 18
    bench["vsstatus"] = rng.getrandbits(2) << 18
    bench["menvcfg"] = rng.choice((0, ADUE, PBMTE, ADUE | PBMTE, ADUE | PBMTE))
    bench["henvcfg"] = rng.choice((0, ADUE, PBMTE, ADUE | PBMTE))
    return rng, bench


def addresses(rng: random.Random, count: int) -> list[int]:
    """Addresses that these tables have entries for, and some that are not canonical."""
    found = []
    for _ in range(count):
        va = rng.choice((RAM, RAM, 0)) + (rng.randrange(64) << 12) + rng.randrange(0, 4096, 8)
        if rng.random() < 0.1:
            va |= rng.choice((1 << 38, 1 << 39, 1 << 41, 1 << 47, 1 << 50, 1 << 56, 1 << 58, 1 << 59, 1 << 63,
                              U64 - (1 << 38) + 1, U64 - (1 << 47) + 1, U64 - (1 << 56) + 1))
        found.append(va)
    return found


def walker_of(bench: Bench, mode: str) -> Walker:
    """The reference walker for an access of the mode; it sets A and D in `bench`'s own memory."""
    privilege, virtual = MODES[mode]
    memory, status, vsstatus = bench.memory, bench["mstatus"], bench["vsstatus"]
    machine = Stage(bool(bench["menvcfg"] & PBMTE), bool(bench["menvcfg"] & ADUE))
    guest = Stage(bool(bench["henvcfg"] & PBMTE), bool(bench["henvcfg"] & ADUE))
    return Walker(
        lambda address: memory.load(address, 8) if memory.contains(address, 8) else None,
        satp=bench["vsatp" if virtual else "satp"], hgatp=bench["hgatp"] if virtual else 0, is_guest=virtual,
        is_user=privilege == 0, sum=bool((vsstatus if virtual else status) >> 18 & 1), mxr=bool(status >> 19 & 1),
        vmxr=bool(vsstatus >> 19 & 1), first=guest if virtual else machine, second=machine,
        store_pte=lambda address, entry: memory.store(address, 8, entry))


def set_up_mprv(hart: Hart, status: int, mode: str) -> None:
    """M-mode reaches into the mode with MPRV, so that the code itself is never translated."""
    privilege, virtual = MODES[mode]
    hart.virtual = False
    hart.privilege = 3
    hart.write_csr(number("mstatus"), status | 1 << 17 | privilege << 11 | virtual << 39)
    hart.pc = CODE_FRAME


def check_accesses(seed: int, mode: str, count: int) -> set[int]:
    """Do loads, stores and atomics where the twin's walker goes; after each, both memories are the same."""
    rng, bench = random_bench(seed, mode)
    twin = Bench(size=SIZE)
    twin.memory = copy_memory(bench.memory)
    walker = walker_of(bench, mode)
    memory = twin.memory
    walker.load_pte = lambda address: memory.load(address, 8) if memory.contains(address, 8) else None
    walker.store_pte = lambda address, entry: memory.store(address, 8, entry)
    status = bench["mstatus"]
    codes = {name: assemble(f"{name} {operands}").code for name, operands in
             (("ld", "x5, (x6)"), ("sd", "x7, (x6)"), ("amoor.d", "x5, x7, (x6)"), ("lr.d", "x5, (x6)"))}
    outcomes = set()
    pool = addresses(rng, 16)
    for _ in range(count):
        va, name = rng.choice(pool), rng.choice(("ld", "ld", "sd", "amoor.d", "lr.d"))
        access = STORE if name in ("sd", "amoor.d") else LOAD
        for place in (bench.memory, memory):
            place.write(CODE_FRAME, codes[name])
        set_up_mprv(bench.hart, status, mode)
        before = memory.take_dirty(RAM, SIZE), bench.memory.take_dirty(RAM, SIZE)
        assert before is not None
        looked = bench.hart.translate(va, access)
        fault, hpa = None, 0
        try:
            hpa = walker.translate(va, access)
        except Fault as found:
            fault = found
        where = f"{seed=} {mode} {va=:#x} {name}"
        assert looked == (hpa, fault.cause if fault else 0), where
        value = rng.getrandbits(64)
        bench.set(x5=0, x6=va, x7=value)
        if fault is None and not memory.contains(hpa, 8):
            if name in ("ld", "sd"):
                seen = bench.hart.run(1)
                assert (seen.reason, seen.address) == (EXIT_MMIO, hpa), where
                bench.hart.fault_mmio()
                bench.hart.run(1)
            else:
                assert bench.trap().cause == (5 if access == LOAD else 7), where
        elif fault is not None:
            trap = bench.trap()
            assert (trap.cause, trap.tval) == (fault.cause, va), where
            assert bench["mtval2"] == fault.gpa >> 2, where
            if fault.tinst or fault.cause >= 20:
                insn = int.from_bytes(codes[name], "little")
                plain = insn & ~(31 << 15) if name in ("amoor.d", "lr.d") else insn & 0x01F0_707F if name == "sd" \
                    else insn & 0x7FFF
                assert bench["mtinst"] == (fault.tinst or plain), where
        elif hpa >= CODE_FRAME:  # the access's own code: not done, but the walker has set A and D
            bench.memory.write(RAM, memory.read(RAM, SIZE))
            continue
        else:
            old = memory.load(hpa, 8)
            bench.hart.run(1)
            assert bench.hart.pc == CODE_FRAME + 4, where
            if access == STORE:
                memory.store(hpa, 8, value | (old if name == "amoor.d" else 0))
            if name != "sd":
                assert bench.x(5) == old, where
        outcomes.add(fault.cause if fault else 0)
        assert bench.memory.read(RAM, SIZE) == memory.read(RAM, SIZE), where
        assert bench.memory.take_dirty(RAM, SIZE) == memory.take_dirty(RAM, SIZE), f"{where}: dirty frames"
    return outcomes


@pytest.mark.parametrize("mode", ["HS", "U", "VS", "VU"])
def test_accesses_follow_the_manuals_algorithm_and_leave_its_a_and_d_bits(mode: str) -> None:
    outcomes: set[int] = set()
    for seed in range(40):
        outcomes |= check_accesses(seed, mode, 40)
    assert outcomes >= {0, 13, 15} | ({21, 23} if mode in ("VS", "VU") else set())


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 1 << 40), mode=st.sampled_from(("HS", "U", "VS", "VU")))
def test_and_so_they_do_over_any_tables(seed: int, mode: str) -> None:
    check_accesses(seed, mode, 12)


# ---------------------------------------------------------------- one rule each


@pytest.mark.parametrize(("levels", "glevels"), list(product((3, 4, 5), (3, 4, 5))))
def test_a_cold_two_stage_walk_reads_as_many_entries_as_the_manual_counts(levels: int, glevels: int) -> None:
    """(v+1)(g+1)-1: 15, 24, 35 where both stages are as deep."""
    bench = Bench("nop", mode="M")
    host = Tables(bench.memory, RAM + 0x4000, gstage=True, levels=glevels)
    own = Tables(bench.memory, RAM + 0x20000, levels=levels)
    for page in range(64):
        host.map(RAM + (page << 12), RAM + (page << 12), ALL | U)
    own.map(RAM, RAM, ALL)
    bench["hgatp"], bench["vsatp"] = host.satp, own.satp
    bench.enter("VS")
    bench.hart.pc = bench.symbols.get("start", RAM)
    bench.hart.walk_reads = 0
    bench.hart.run(1)
    assert bench.hart.walk_reads == (levels + 1) * (glevels + 1) - 1


@pytest.mark.parametrize("levels", [3, 4, 5])
def test_addresses_must_be_canonical(levels: int) -> None:
    bench = Bench(mode="M")
    own = Tables(bench.memory, RAM + 0x8000, levels=levels)
    top = 1 << 12 + 9 * levels - 1
    own.map(0, RAM, ALL, levels - 1) if levels == 3 else own.map(0, 0, ALL, 2)
    bench["satp"] = own.satp
    bench.enter("HS")
    for va in (top, U64 - top, top << 1, 1 << 63):
        assert bench.hart.translate(va, LOAD) == (0, 13), hex(va)


@pytest.mark.parametrize("glevels", [3, 4, 5])
def test_the_top_of_the_guest_physical_range(glevels: int) -> None:
    """The last page of 41, 50 or 59 bits translates through the last entry of the 16 KiB root; the next GPA faults."""
    bench = Bench(mode="M")
    host = Tables(bench.memory, RAM + 0x4000, gstage=True, levels=glevels)
    top = 1 << 14 + 9 * glevels
    host.map(top - 0x1000, RAM + 0x9000, ALL | U)
    bench["hgatp"], bench["vsatp"] = host.satp, 0
    bench.enter("VS")
    assert host.entry(top - 1, glevels - 1) == RAM + 0x4000 + 0x4000 - 8
    assert bench.hart.translate(top - 8, LOAD) == (RAM + 0x9FF8, 0)
    for gpa in (top, top | 0x8000, 1 << 63):
        assert bench.hart.translate(gpa, STORE) == (0, 23), hex(gpa)


@pytest.mark.parametrize(("mmu", "modes"), [("sv39", {0, 8}), ("sv48", {0, 8, 9}), ("sv57", {0, 8, 9, 10})])
def test_the_legal_modes_are_configurable(mmu: str, modes: set[int]) -> None:
    isa = {"sv39": without(DEFAULT_ISA, "Sv48"), "sv48": without(DEFAULT_ISA, "Sv57"), "sv57": DEFAULT_ISA}[mmu]
    bench = Bench(isa=isa)
    for mode, name in product(range(16), ("satp", "vsatp", "hgatp")):
        bench[name] = 0
        bench[name] = mode << 60
        assert bench[name] == (mode << 60 if mode in modes else 0)


def leaf(entry: int, *, envcfg: int = 0, isa: frozenset[str] = DEFAULT_ISA, va: int = 0, level: int = 0) -> Bench:
    """A machine in HS-mode whose address `va` has this entry."""
    bench = Bench(isa=isa)
    own = Tables(bench.memory, RAM + 0x8000)
    bench.memory.store(own.entry(va, level), 8, entry)
    bench["satp"], bench["menvcfg"] = own.satp, envcfg
    bench.enter("HS")
    return bench


class TestSvnapot:
    def test_64_kib_share_one_encoding(self) -> None:
        for page in range(16):
            bench = leaf(N | pte(RAM + 0x28000, ALL), va=page << 12)
            assert bench.hart.translate((page << 12) + 8, LOAD) == (RAM + 0x20008 + (page << 12), 0)

    @pytest.mark.parametrize("low", [low for low in range(16) if low != 8])
    def test_other_sizes_are_reserved(self, low: int) -> None:
        assert leaf(N | pte(RAM + 0x20000 + (low << 12), ALL)).hart.translate(0, LOAD) == (0, 13)

    def test_superpages_cannot_have_it(self) -> None:
        assert leaf(N | pte(0x8000_0000, ALL), level=2).hart.translate(0, FETCH) == (0, 12)
        assert leaf(N | pte(0x8000_8000, ALL), level=1).hart.translate(0, FETCH) == (0, 12)

    def test_pointers_cannot_have_it(self) -> None:
        assert leaf(N | pte(RAM + 0x8000, V), level=2).hart.translate(0, STORE) == (0, 15)

    def test_without_it_the_bit_is_reserved(self) -> None:
        bench = leaf(N | pte(RAM + 0x28000, ALL), isa=without(DEFAULT_ISA, "Svnapot"))
        assert bench.hart.translate(0, LOAD) == (0, 13)


class TestSvpbmt:
    @pytest.mark.parametrize("kind", range(4))
    @pytest.mark.parametrize("enabled", [False, True])
    def test_types_need_menvcfg_pbmte(self, kind: int, enabled: bool) -> None:
        bench = leaf(kind * PBMT | pte(RAM, ALL), envcfg=PBMTE if enabled else 0)
        good = kind == 0 or (enabled and kind < 3)
        assert bench.hart.translate(0, LOAD) == ((RAM, 0) if good else (0, 13))

    def test_pointers_cannot_have_one(self) -> None:
        assert leaf(PBMT | pte(RAM, V), envcfg=PBMTE, level=1).hart.translate(0, LOAD) == (0, 13)

    @pytest.mark.parametrize(("machine", "guest"), list(product((0, PBMTE), repeat=2)))
    def test_henvcfg_gates_the_guests_tables_and_menvcfg_the_hypervisors(self, machine: int, guest: int) -> None:
        bench = Bench()
        host = Tables(bench.memory, RAM + 0x4000, gstage=True)
        own = Tables(bench.memory, RAM + 0x20000)
        for page in range(64):
            host.map(RAM + (page << 12), RAM + (page << 12), ALL | U)
        bench.memory.store(own.entry(0), 8, PBMT | pte(RAM, ALL))
        bench.memory.store(own.entry(0x1000), 8, pte(RAM + 0x40_0000, ALL))
        bench.memory.store(host.entry(RAM + 0x40_0000), 8, PBMT | pte(RAM, ALL | U))
        bench["hgatp"], bench["vsatp"], bench["menvcfg"], bench["henvcfg"] = host.satp, own.satp, machine, guest
        bench.enter("VS")
        assert bench.hart.translate(0, LOAD)[1] == (0 if machine and guest else 13)
        assert bench.hart.translate(0x1000, LOAD)[1] == (0 if machine else 21)

    def test_a_change_of_the_gate_needs_no_fence(self) -> None:
        bench = leaf(PBMT | pte(RAM, ALL), envcfg=PBMTE)
        bench.hart.pc = 0
        bench.memory.write(RAM, assemble("nop\nnop").code)
        bench.hart.run(1)
        bench["menvcfg"] = 0
        assert bench.trap().cause == 12


class TestEnvcfg:
    @pytest.mark.parametrize("bit", [ADUE, PBMTE])
    def test_henvcfg_is_read_only_zero_where_menvcfg_is_zero(self, bit: int) -> None:
        bench = Bench()
        bench["henvcfg"] = U64
        assert bench["henvcfg"] & bit == 0
        bench["menvcfg"] = bit
        assert bench["henvcfg"] & bit == 0
        bench["henvcfg"] = bit
        assert bench["henvcfg"] & bit == bit
        bench["menvcfg"] = 0
        assert bench["henvcfg"] & bit == 0

    def test_at_reset_software_sets_a_and_d(self) -> None:
        bench = Bench()
        assert (bench["menvcfg"], bench["henvcfg"]) == (0, 0)

    def test_without_svadu_adue_is_read_only_zero(self) -> None:
        bench = Bench(isa=without(DEFAULT_ISA, "Svadu"))
        bench["menvcfg"] = U64
        assert bench["menvcfg"] & ADUE == 0
