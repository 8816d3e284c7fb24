"""Physical memory protection, against the matching rules of the machine chapter ("Physical Memory Protection")."""

from __future__ import annotations

import random

import pytest

from hartvisor.core.isa import causes
from hartvisor.core.isa.assembler import assemble

from .bench import CODE, DATA, RAM, U64, Bench
from .tables import Tables

R, W, X, L = 1, 2, 4, 0x80
OFF, TOR, NA4, NAPOT = 0x00, 0x08, 0x10, 0x18
OPEN = NAPOT | R | W | X
ENTRIES = 6


def entry_bytes(configs: list[int], addresses: list[int], i: int) -> range:
    """The bytes that entry i matches."""
    kind, address = configs[i] & 0x18, addresses[i]
    if kind == TOR:
        return range(addresses[i - 1] << 2 if i else 0, address << 2)
    if kind == NA4:
        return range(address << 2, (address << 2) + 4)
    if kind == NAPOT:
        ones = 0
        while address >> ones & 1:
            ones += 1
        first = address >> ones << ones << 2
        return range(first, first + (8 << ones))
    return range(0)


def allows(configs: list[int], addresses: list[int], first: int, size: int, right: int, is_machine: bool) -> bool:
    """The lowest entry that matches any byte decides; it must match all."""
    for i, config in enumerate(configs):
        matched = entry_bytes(configs, addresses, i)
        hits = [byte in matched for byte in range(first, first + size)]
        if any(hits):
            if not all(hits):
                return False
            return bool(config & right) or (is_machine and not config & L)
    return is_machine


def napot(first: int, size: int) -> int:
    """pmpaddr for a naturally aligned power of two of at least 8 bytes."""
    return first + size // 2 - 1 >> 2


def program(bench: Bench, configs: list[int], addresses: list[int]) -> None:
    """Write entries 0 on; what comes after opens nothing."""
    for i, address in enumerate(addresses):
        bench[f"pmpaddr{i}"] = address
    bench["pmpcfg0"] = sum(config << 8 * i for i, config in enumerate(configs))


def random_entries(rng: random.Random, *, may_lock: bool) -> tuple[list[int], list[int]]:
    configs, addresses = [], []
    for _ in range(ENTRIES):
        rights = rng.choice((0, R, R | W, R | W | X, X, R | X))
        configs.append(rights | rng.choice((OFF, TOR, NA4, NAPOT)) | (L if may_lock and rng.random() < 0.3 else 0))
        near = DATA + rng.choice((0, 0x1000, 0x2000)) + rng.randrange(0, 0x1000, 4)
        addresses.append(
            rng.choice(
                (
                    near >> 2,
                    napot(near & ~63, 64),
                    napot(DATA, 0x1000),
                    napot(DATA, 0x4000),
                    DATA >> 2,
                    DATA + 0x1000 >> 2,
                )
            )
        )
    # The last entry keeps the code reachable, whatever the others say about the data.
    configs.append(OPEN)
    addresses.append(napot(RAM, 0x1_0000))
    return configs, addresses


@pytest.mark.parametrize("mode", ["M", "HS", "U"])
def test_loads_and_stores_pass_as_the_rules_say(mode: str) -> None:
    """Each address twice: what the first access caches must not show in the second."""
    names = {"lb": (1, R), "lh": (2, R), "lw": (4, R), "ld": (8, R), "sb": (1, W), "sd": (8, W)}
    code = {name: assemble(f"{name} x5, (x6)").code for name in names}
    for seed in range(40):
        rng = random.Random(seed)
        bench = Bench(mode="M")
        configs, addresses = random_entries(rng, may_lock=mode == "M")
        if not allows(configs, addresses, CODE, 4, X, mode == "M"):
            continue
        program(bench, configs, addresses)
        bench.enter(mode)
        for _ in range(60):
            name = rng.choice(list(names))
            size, right = names[name]
            va = DATA + rng.choice((0, 0x1000)) + rng.choice((rng.randrange(0x1000), rng.randrange(0, 0x1000, 8)))
            if (va & 0xFFF) + size > 0x1000:
                continue
            bench.memory.write(CODE, code[name])
            want = allows(configs, addresses, va, size, right, mode == "M")
            for _ in range(2):
                bench.hart.pc = CODE
                bench.enter(mode)
                bench.set(x6=va)
                traps = bench.hart.guest_traps
                bench.hart.run(1)
                assert (bench.hart.guest_traps == traps) == want, f"{seed=} {name} {va:#x}"
                if not want:
                    assert bench["mcause"] == (causes.LOAD_ACCESS_FAULT if right == R else causes.STORE_ACCESS_FAULT)
                    assert bench["mtval"] == va


@pytest.mark.parametrize("mode", ["M", "HS", "U"])
def test_fetches_pass_as_the_rules_say(mode: str) -> None:
    for rights in (0, R, R | W, X, R | X, R | W | X):
        for lock in (0, L):
            bench = Bench()
            bench.put("nop\nnop\nnop", DATA)
            program(bench, [rights | NAPOT | lock, OPEN], [napot(DATA, 0x1000), (1 << 54) - 1])
            bench.enter(mode)
            bench.hart.pc = DATA
            if bool(rights & X) or (mode == "M" and not lock):
                bench.hart.run(2)
                assert bench.hart.pc == DATA + 8
            else:
                assert bench.trap().cause == causes.INSTRUCTION_ACCESS_FAULT


def test_code_beside_a_boundary_runs_up_to_it() -> None:
    bench = Bench()
    bench.put("nop\n" * 8, DATA)
    program(bench, [TOR | R | X, OPEN & ~X], [DATA + 12 >> 2, (1 << 54) - 1])
    bench.enter("U")
    bench.hart.pc = DATA
    bench.hart.run(4)
    assert (bench["mcause"], bench["mepc"], bench["mtval"]) == (causes.INSTRUCTION_ACCESS_FAULT, DATA + 12, DATA + 12)


def test_with_no_entry_at_all_only_m_mode_reaches_memory() -> None:
    for mode in ("M", "HS", "U", "VS", "VU"):
        bench = Bench("nop")
        bench["pmpcfg0"] = 0
        bench.enter(mode)
        bench.hart.run(1)
        assert (bench.hart.guest_traps == 0) == (mode == "M")


@pytest.mark.parametrize("mode", ["HS", "VS"])
def test_walks_read_page_tables_as_s_mode(mode: str) -> None:
    """An entry that PMP hides is an access fault of the access that needed it."""
    for access, cause in (
        ("lw x5, (x6)", causes.LOAD_ACCESS_FAULT),
        ("sw x5, (x6)", causes.STORE_ACCESS_FAULT),
        ("jr x6", causes.INSTRUCTION_ACCESS_FAULT),
    ):
        bench = Bench(access)
        tables = Tables(bench.memory, DATA)
        tables.identity(RAM, 1)
        tables.map(0x1000, DATA + 0x8000)
        tables.map(1 << 30, DATA + 0x8000)
        hidden = tables.entry(1 << 30) & ~0xFFF
        program(bench, [NAPOT, OPEN], [napot(hidden, 0x1000), (1 << 54) - 1])
        bench["satp" if mode == "HS" else "vsatp"] = tables.satp
        bench.enter(mode)
        bench.set(x6=1 << 30)
        if access == "jr x6":
            bench.hart.run(1)
        assert (bench.trap().cause, bench["mtval"]) == (cause, 1 << 30)


def test_mprv_accesses_are_checked_as_the_mode_they_act_for() -> None:
    bench = Bench("lw x5, (x6)")
    program(bench, [NAPOT, OPEN], [napot(DATA, 0x1000), (1 << 54) - 1])
    bench["mstatus"] = 1 << 17
    bench.set(x6=DATA)
    assert bench.trap().cause == causes.LOAD_ACCESS_FAULT


@pytest.mark.parametrize(("rights", "passes"), [(R, False), (X, False), (R | X, True), (R | W | X, True), (0, False)])
def test_hlvx_needs_pmps_read_and_execute_rights(rights: int, passes: bool) -> None:
    """H, "Hypervisor Virtual-Machine Load and Store Instructions": HLVX cannot override PMP."""
    bench = Bench("hlvx.wu x5, (x6)")
    program(bench, [NAPOT | rights, OPEN], [napot(DATA, 0x1000), (1 << 54) - 1])
    bench.enter("HS")
    bench.set(x6=DATA)
    bench.hart.run(1)
    assert (bench.hart.guest_traps == 0) == passes
    assert passes or bench["mcause"] == causes.LOAD_ACCESS_FAULT


@pytest.mark.parametrize("source", ["hlvx.wu x5, (x6)", "hlv.wu x5, (x6)", "hsv.w x5, (x6)"])
def test_guest_accesses_must_lie_in_one_region(source: str) -> None:
    bench = Bench(source)
    program(bench, [NA4 | R | W | X, OPEN], [DATA + 4 >> 2, (1 << 54) - 1])
    bench.enter("HS")
    bench.set(x6=DATA + 2)
    assert bench.trap().cause in (causes.LOAD_ACCESS_FAULT, causes.STORE_ACCESS_FAULT)


class TestLocks:
    def test_a_locked_entry_keeps_configuration_and_address(self) -> None:
        bench = Bench()
        program(bench, [OPEN | L, OPEN], [napot(RAM, 1 << 30), 5])
        bench["pmpaddr0"] = 1
        bench["pmpcfg0"] = 0
        assert (bench["pmpaddr0"], bench["pmpcfg0"]) == (napot(RAM, 1 << 30), OPEN | L)
        bench["pmpaddr1"] = 6
        assert bench["pmpaddr1"] == 6

    def test_a_locked_top_of_range_keeps_the_address_below_too(self) -> None:
        bench = Bench()
        program(bench, [0, TOR | L | R, OPEN], [5, 6, 7])
        for i in range(3):
            bench[f"pmpaddr{i}"] = 9
        assert [bench[f"pmpaddr{i}"] for i in range(3)] == [5, 6, 9]

    def test_write_without_read_is_reserved(self) -> None:
        bench = Bench()
        for rights in range(8):
            bench["pmpcfg2"] = rights
            assert bench["pmpcfg2"] & 3 != 2

    def test_what_is_kept(self) -> None:
        bench = Bench()
        bench["pmpaddr63"] = U64
        assert bench["pmpaddr63"] == (1 << 54) - 1
        bench["pmpcfg14"] = 0x7F7F7F7F7F7F7F7F
        assert bench["pmpcfg14"] == 0x1F1F1F1F1F1F1F1F


def test_a_change_takes_effect_at_once() -> None:
    """Without a fence: what was cached under the old rules is gone."""
    bench = Bench("lw x5, (x6)\ncsrw pmpcfg0, x7\nlw x5, (x6)", mode="M")
    program(bench, [OPEN, OPEN], [napot(DATA, 0x1000), (1 << 54) - 1])
    bench["mstatus"] = 1 << 17 | 1 << 11
    bench.set(x6=DATA, x7=NAPOT | OPEN << 8)
    bench.hart.run(2)
    assert bench.hart.guest_traps == 0
    assert bench.trap().cause == causes.LOAD_ACCESS_FAULT


@pytest.mark.parametrize("mode", ["HS", "U"])
@pytest.mark.parametrize("offset", [0, 2, 0xFFC, 0xFFE])
@pytest.mark.parametrize("denied", [-4, 0, 4, 8])
@pytest.mark.parametrize("source", ["addi x5, x0, 9", "c.addi x5, 9"])
def test_looking_at_an_instruction_sees_it_where_a_fetch_would(
    mode: str, offset: int, denied: int, source: str
) -> None:
    """PMP's least size is four bytes, so an instruction of four may lie half in what it denies."""
    bench = Bench(mode=mode)
    code = assemble(source).code
    at = DATA + offset
    bench.memory.write(at, code)
    word = (at & ~3) + denied
    bench["pmpaddr0"], bench["pmpaddr1"], bench["pmpcfg0"] = word >> 2, U64, 0x1F10  # NA4, nothing granted
    bench.hart.pc = at
    is_denied = any(word <= address < word + 4 for address in range(at, at + len(code)))
    assert bench.hart.fetch_insn() & (1 << 8 * len(code)) - 1 == (0 if is_denied else int.from_bytes(code, "little"))
    if is_denied:
        trap = bench.trap()
        assert (trap.cause, trap.epc, trap.tval) == (1, at, max(word, at))
    else:
        bench.hart.run(1)
        assert (bench.hart.guest_traps, bench.x(5)) == (0, 9)
