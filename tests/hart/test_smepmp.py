"""Smepmp: mseccfg's locks, and the truth table of the manual ("Smepmp Physical Memory Protection Rules")."""

from __future__ import annotations

import random
from itertools import product

import pytest

from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.extensions import DEFAULT_ISA, without

from .bench import CODE, DATA, RAM, U64, Bench
from .test_pmp import ENTRIES, NAPOT, OPEN, L, R, W, X, entry_bytes, napot

MML, MMWP, RLB = 1, 2, 4

# L R W X: what M-mode may do, what S- and U-mode may do; the manual's table, row by row.
TRUTH = {
    "0000": ("", ""), "0001": ("", "X"), "0010": ("RW", "R"), "0011": ("RW", "RW"),
    "0100": ("", "R"), "0101": ("", "RX"), "0110": ("", "RW"), "0111": ("", "RWX"),
    "1000": ("", ""), "1001": ("X", ""), "1010": ("X", "X"), "1011": ("RX", "X"),
    "1100": ("R", ""), "1101": ("RX", ""), "1110": ("RW", ""), "1111": ("R", "R"),
}  # fmt: skip
EXECUTABLE_AND_LOCKED = {"1001", "1010", "1011", "1101"}
ACCESSES = {"R": ("lw x5, (x6)", 5), "W": ("sw x5, (x6)", 7), "X": ("jr x6", 1)}


def config_of(row: str) -> int:
    """The configuration byte, less its address mode."""
    return sum(bit for bit, digit in zip((L, R, W, X), row, strict=True) if digit == "1")


def lock_down(bench: Bench, *configs: int) -> None:
    """MML, with these configurations in the entries, whatever they are, and RLB=0 again."""
    bench["mseccfg"] = RLB
    bench["mseccfg"] = MML | RLB
    bench["pmpcfg0"] = sum(config << 8 * i for i, config in enumerate(configs))
    bench["mseccfg"] = 0


def access(bench: Bench, mode: str, right: str) -> int:
    """Do one access to DATA in the mode: the exception's cause, or 0."""
    bench.memory.write(CODE, assemble(ACCESSES[right][0]).code)
    bench.memory.write(DATA, assemble("nop").code)
    bench.hart.pc = CODE
    bench.enter(mode)
    bench.set(x6=DATA)
    traps = bench.hart.guest_traps
    bench.hart.run(2 if right == "X" else 1)
    return bench["mcause"] if bench.hart.guest_traps > traps else 0


@pytest.mark.parametrize("row", TRUTH)
@pytest.mark.parametrize("mode", ["M", "HS", "U"])
def test_the_truth_table(row: str, mode: str) -> None:
    allowed = TRUTH[row][0 if mode == "M" else 1]
    for right, (_, cause) in ACCESSES.items():
        bench = Bench()
        bench["pmpaddr0"], bench["pmpaddr1"] = napot(CODE, 0x1000), napot(DATA, 0x1000)
        lock_down(bench, NAPOT | config_of("1010"), NAPOT | config_of(row))
        assert access(bench, mode, right) == (0 if right in allowed else cause), right


@pytest.mark.parametrize(("mml", "mmwp"), list(product((0, MML), (0, MMWP))))
def test_what_no_entry_matches(mml: int, mmwp: int) -> None:
    """M-mode: MMWP denies it; MML denies only fetches.  Others are denied anyway."""
    for mode, right in product(("M", "HS", "U"), ACCESSES):
        bench = Bench()
        bench["pmpaddr0"], bench["pmpcfg0"] = napot(CODE, 0x1000), 0
        lock_down(bench, NAPOT | (config_of("1010") if mml else X))
        if not mml:
            bench = Bench()
            bench["pmpaddr0"], bench["pmpcfg0"] = napot(CODE, 0x1000), NAPOT | X
        bench["mseccfg"] = mmwp
        denied = mode != "M" or mmwp or (mml and right == "X")
        assert access(bench, mode, right) == (ACCESSES[right][1] if denied else 0), (mode, right)


class TestMseccfg:
    def test_mml_and_mmwp_stay_set(self) -> None:
        for bit in (MML, MMWP):
            bench = Bench()
            bench["mseccfg"] = bit
            bench["mseccfg"] = 0
            assert bench["mseccfg"] == bit

    def test_rlb_can_be_set_and_cleared_while_no_entry_is_locked(self) -> None:
        bench = Bench()
        for value in (RLB, 0, RLB):
            bench["mseccfg"] = value
            assert bench["mseccfg"] == value

    def test_rlb_stays_clear_once_any_entry_is_locked_even_one_that_is_off(self) -> None:
        bench = Bench()
        bench["pmpcfg14"] = L << 56
        bench["mseccfg"] = RLB
        assert bench["mseccfg"] == 0
        bench = Bench()
        bench["mseccfg"] = RLB
        bench["pmpcfg14"] = L << 56
        assert bench["mseccfg"] == RLB, "it may stay set"
        bench["mseccfg"] = 0
        bench["mseccfg"] = RLB
        assert bench["mseccfg"] == 0

    def test_without_smepmp_its_fields_read_as_zero(self) -> None:
        bench = Bench(isa=without(DEFAULT_ISA, "Smepmp"))
        bench["mseccfg"] = U64
        assert bench["mseccfg"] == 0


class TestLockedEntries:
    @pytest.mark.parametrize("rlb", [0, RLB])
    def test_rlb_lets_them_be_changed(self, rlb: int) -> None:
        bench = Bench()
        bench["mseccfg"] = rlb
        bench["pmpaddr1"] = 5
        bench["pmpcfg0"] = OPEN | (L | R) << 8
        bench["pmpaddr1"] = 9
        bench["pmpcfg0"] = OPEN
        assert bench["pmpaddr1"] == (9 if rlb else 5)
        assert bench["pmpcfg0"] == (OPEN if rlb else OPEN | (L | R) << 8)

    @pytest.mark.parametrize("rlb", [0, RLB])
    def test_a_locked_tor_entry_locks_the_address_below_it(self, rlb: int) -> None:
        bench = Bench()
        bench["mseccfg"] = rlb
        bench["pmpaddr1"], bench["pmpcfg0"] = 7, OPEN | (L | R | 0x08) << 16
        bench["pmpaddr1"] = 8
        assert bench["pmpaddr1"] == (8 if rlb else 7)

    @pytest.mark.parametrize("row", TRUTH)
    @pytest.mark.parametrize("rlb", [0, RLB])
    def test_under_mml_no_executable_rule_of_m_modes_can_be_added(self, row: str, rlb: int) -> None:
        bench = Bench()
        bench["mseccfg"] = rlb
        bench["mseccfg"] = MML | rlb
        bench["pmpcfg2"] = NAPOT | config_of(row)
        ignored = row in EXECUTABLE_AND_LOCKED and not rlb
        assert bench["pmpcfg2"] == (0 if ignored else NAPOT | config_of(row))

    def test_without_mml_write_only_is_reserved(self) -> None:
        bench = Bench()
        for config in (W, W | X, L | W, L | W | X):
            bench["pmpcfg2"] = NAPOT | config & ~L
            assert bench["pmpcfg2"] == NAPOT | config & X


@pytest.mark.parametrize("mode", ["M", "HS", "U"])
def test_random_entries_under_mml_against_the_table(mode: str) -> None:
    """Hits, misses, partial matches, cached pages and uncached ones: entry order and the table decide."""
    for seed in range(60):
        rng = random.Random(seed)
        rows = [rng.choice(list(TRUTH)) for _ in range(ENTRIES)]
        kinds = [rng.choice((0, 0x08, 0x10, NAPOT, NAPOT)) for _ in rows]
        addresses = sorted(rng.randrange(DATA, DATA + 0x2000) >> 2 for _ in rows)
        bench = Bench()
        configs = [NAPOT | config_of("1010"), *(kind | config_of(row) for kind, row in zip(kinds, rows, strict=True))]
        for i, address in enumerate([napot(CODE, 0x1000), *addresses]):
            bench[f"pmpaddr{i}"] = address
        lock_down(bench, *configs)
        for _ in range(30):
            first, size = rng.randrange(DATA, DATA + 0x2000), rng.choice((1, 2, 4, 8))
            first &= -size
            right = rng.choice("RW")
            expected = mode == "M"
            for i, config in enumerate(configs):
                matched = entry_bytes(configs, [napot(CODE, 0x1000), *addresses], i)
                hits = [byte in matched for byte in range(first, first + size)]
                if any(hits):
                    row = f"{config >> 7}{config & 1}{config >> 1 & 1}{config >> 2 & 1}"
                    expected = all(hits) and right in TRUTH[row][0 if mode == "M" else 1]
                    break
            name = {1: "b", 2: "h", 4: "w", 8: "d"}[size]
            bench.memory.write(CODE, assemble(f"{'l' if right == 'R' else 's'}{name} x5, (x6)").code)
            bench.hart.pc = CODE
            bench.enter(mode)
            bench.set(x6=first)
            traps = bench.hart.guest_traps
            bench.hart.run(1)
            assert (bench.hart.guest_traps == traps) == expected, f"{seed=} {first:#x} {size} {right}"


def test_64_entries() -> None:
    """The last entry counts like the first."""
    bench = Bench(mode="M")
    bench["pmpcfg0"] = 0
    bench["pmpaddr62"], bench["pmpaddr63"] = RAM >> 2, RAM + (1 << 18) >> 2
    bench["pmpcfg14"] = (0x08 | R | X) << 56
    assert (access(bench, "HS", "R"), access(bench, "HS", "X"), access(bench, "HS", "W")) == (0, 0, 7)
