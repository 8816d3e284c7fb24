"""The hart's interrupt files (AIA, "Incoming MSI Controller (IMSIC)")."""

from __future__ import annotations

from random import Random

import pytest

from hartvisor.core.hart import Hart, Memory
from hartvisor.core.isa.extensions import DEFAULT_ISA, without

from .advanced import (
    AIA,
    EIDELIVERY,
    EIE,
    EIP,
    EITHRESHOLD,
    GUEST_1,
    M_FILE,
    MEI,
    S_FILE,
    SEI,
    SGEI,
    VSEI,
    advanced,
    bits,
    get,
    open_file,
    put,
)
from .bench import U64, Bench, copy_memory
from .programs import make_case, run_to

SAVE = 37
FILES = {"m": (M_FILE, MEI), "s": (S_FILE, SEI), "vs": (GUEST_1, VSEI)}
"""Window to file and the interrupt that the file signals."""


def bench_of(window: str) -> Bench:
    """A hart whose guest has file 1."""
    bench = advanced()
    bench["hstatus"] = 1 << 12
    return bench


@pytest.mark.parametrize("window", FILES)
class TestFile:
    """Every file works alike."""

    def test_a_message_makes_its_identity_pending(self, window: str) -> None:
        bench, (file, _) = bench_of(window), FILES[window]
        for identity in (1, 63, 64, 255):
            bench.hart.receive_msi(file, identity)
        assert [get(bench, window, EIP + 2 * word) for word in range(4)] == [1 << 1 | 1 << 63, 1, 0, 1 << 63]

    def test_identities_that_are_not_implemented_are_ignored(self, window: str) -> None:
        bench, (file, _) = bench_of(window), FILES[window]
        for identity in (0, 256, 1 << 32, U64):
            bench.hart.receive_msi(file, identity)
        assert bench.hart.read_file(file) == (False, 0, 0, 0)

    def test_it_signals_what_is_pending_enabled_and_delivered(self, window: str) -> None:
        bench, irq = bench_of(window), FILES[window][1]
        for delivery in (0, 1):
            for enabled in (0, 1 << 5):
                for pending in (0, 1 << 5):
                    put(bench, window, EIDELIVERY, delivery)
                    put(bench, window, EIE, enabled)
                    put(bench, window, EIP, pending)
                    assert bench["mip"] >> irq & 1 == int(bool(delivery and enabled and pending))

    def test_the_lowest_identity_is_the_most_urgent(self, window: str) -> None:
        bench, (file, _) = bench_of(window), FILES[window]
        open_file(bench, window)
        for identity, first in ((40, 40), (7, 7), (9, 7)):
            bench.hart.receive_msi(file, identity)
            assert bench[f"{window}topei"] == first << 16 | first

    def test_topei_shows_what_is_not_delivered_too(self, window: str) -> None:
        bench, (file, _) = bench_of(window), FILES[window]
        open_file(bench, window)
        put(bench, window, EIDELIVERY, 0)
        bench.hart.receive_msi(file, 3)
        assert bench[f"{window}topei"] == 3 << 16 | 3

    def test_the_threshold_holds_back_its_own_number_and_above(self, window: str) -> None:
        bench, (file, irq) = bench_of(window), FILES[window]
        open_file(bench, window)
        bench.hart.receive_msi(file, 20)
        for threshold, passes in ((0, True), (20, False), (21, True), (1, False), (255, True)):
            put(bench, window, EITHRESHOLD, threshold)
            assert get(bench, window, EITHRESHOLD) == threshold
            assert (bench["mip"] >> irq & 1, bench[f"{window}topei"] != 0) == (passes, passes)

    def test_a_write_to_topei_claims_whatever_is_written(self, window: str) -> None:
        bench, (file, irq) = bench_of(window), FILES[window]
        open_file(bench, window)
        for identity in (8, 6):
            bench.hart.receive_msi(file, identity)
        bench[f"{window}topei"] = 8
        assert (get(bench, window, EIP), bench["mip"] >> irq & 1) == (1 << 8, 1)
        bench[f"{window}topei"] = 0
        assert (get(bench, window, EIP), bench["mip"] >> irq & 1) == (0, 0)
        bench[f"{window}topei"] = 0
        assert bench[f"{window}topei"] == 0

    def test_one_instruction_reads_and_claims(self, window: str) -> None:
        bench, (file, _) = bench_of(window), FILES[window]
        bench.put(f"csrrw x5, {window}topei, x0\ncsrr x6, {window}topei")
        open_file(bench, window)
        for identity in (8, 6):
            bench.hart.receive_msi(file, identity)
        bench.hart.run(2)
        assert (bench.x(5) >> 16, bench.x(6) >> 16) == (6, 8)

    def test_a_read_claims_nothing(self, window: str) -> None:
        bench, (file, _) = bench_of(window), FILES[window]
        bench.put(f"csrr x5, {window}topei\ncsrrs x6, {window}topei, x0\ncsrrci x7, {window}topei, 0")
        open_file(bench, window)
        bench.hart.receive_msi(file, 6)
        bench.hart.run(3)
        assert bench.x(5) == bench.x(6) == bench.x(7) == 6 << 16 | 6

    def test_identity_0_and_those_above_255_have_no_bits(self, window: str) -> None:
        bench = bench_of(window)
        for array in (EIP, EIE):
            for word in range(32):
                put(bench, window, array + 2 * word, U64)
                assert get(bench, window, array + 2 * word) == (U64 - 1 if word == 0 else U64 if word < 4 else 0)

    def test_reserved_registers_read_as_zero(self, window: str) -> None:
        bench = bench_of(window)
        for number in (0x71, *range(0x73, 0x80)):
            put(bench, window, number, U64)
            assert get(bench, window, number) == 0

    def test_eidelivery_is_0_or_1(self, window: str) -> None:
        bench = bench_of(window)
        for value, kept in ((1, 1), (0x4000_0000, 0), (3, 1)):
            put(bench, window, EIDELIVERY, value)
            assert get(bench, window, EIDELIVERY) == kept

    def test_what_a_file_holds_can_be_put_back(self, window: str) -> None:
        bench, other, (file, irq) = bench_of(window), bench_of(window), FILES[window]
        open_file(bench, window)
        put(bench, window, EITHRESHOLD, 50)
        for identity in (4, 200):
            bench.hart.receive_msi(file, identity)
        held = bench.hart.read_file(file)
        assert held == (True, 50, 1 << 4 | 1 << 200, U64 - 1)
        other.hart.write_file(file, *held)
        assert other.hart.read_file(file) == held
        assert other["mip"] >> irq & 1


class TestGuestFiles:
    """hgeip, hgeie and hstatus.VGEIN."""

    def test_vgein_holds_the_numbers_of_files(self) -> None:
        """WLRL: another number leaves the field as it was."""
        bench = advanced()
        for written, kept in ((3, 3), (4, 3), (63, 3), (0, 0)):
            bench["hstatus"] = written << 12
            assert bench["hstatus"] >> 12 & 63 == kept

    def test_hgeie_has_a_bit_for_each_file(self) -> None:
        for guests in range(8):
            bench = advanced(guest_files=guests)
            bench["hgeie"] = U64
            assert bench["hgeie"] == (2 << guests) - 2

    def test_hgeip_shows_every_guests_file(self) -> None:
        bench = advanced()
        for guest in (1, 2, 3):
            bench["hstatus"] = guest << 12
            open_file(bench, "vs")
        bench["hstatus"] = 0
        bench.hart.receive_msi(GUEST_1 + 2, 9)
        assert bench["hgeip"] == 1 << 3
        bench.hart.receive_msi(GUEST_1, 1)
        assert bench["hgeip"] == 1 << 3 | 1 << 1

    def test_vseip_is_the_signal_of_the_file_that_vgein_names(self) -> None:
        bench = advanced()
        bench["hstatus"] = 2 << 12
        open_file(bench, "vs")
        bench.hart.receive_msi(GUEST_1 + 1, 9)
        seen = []
        for guest in (0, 1, 2, 3):
            bench["hstatus"] = guest << 12
            seen.append(bench["hip"] >> VSEI & 1)
        assert seen == [0, 0, 1, 0]

    def test_hvip_adds_to_it(self) -> None:
        bench = advanced()
        bench["hvip"] = bits(VSEI)
        assert bench["hip"] >> VSEI & 1

    def test_sgeip_is_any_file_that_hgeie_enables(self) -> None:
        bench = advanced()
        bench["hstatus"] = 2 << 12
        open_file(bench, "vs")
        bench.hart.receive_msi(GUEST_1 + 1, 9)
        for enabled, pending in ((0, 0), (1 << 1, 0), (1 << 2, 1), (1 << 3 | 1 << 2, 1)):
            bench["hgeie"] = enabled
            assert bench["mip"] >> SGEI & 1 == bench["hip"] >> SGEI & 1 == pending

    def test_sgei_traps_to_hs_mode(self) -> None:
        bench = advanced(mode="VS")
        assert bench["mideleg"] >> SGEI & 1, "read-only one where guest files exist"
        bench["hstatus"], bench["hgeie"], bench["hie"] = 2 << 12, 1 << 2, bits(SGEI)
        assert bench["mie"] == bits(SGEI)
        open_file(bench, "vs")
        bench.hart.receive_msi(GUEST_1 + 1, 9)
        trap = bench.trap()
        assert (trap.mode, trap.cause, trap.is_interrupt) == ("HS", SGEI, True)

    @pytest.mark.parametrize("guest_files", [None, 0])
    def test_without_guest_files_there_is_no_sgei(self, guest_files: int | None) -> None:
        bench = advanced(guest_files=guest_files)
        for name in ("hgeie", "hie", "mie", "mideleg"):
            bench[name] = U64
        bench["hstatus"] = 1 << 12
        assert bench["hstatus"] >> 12 & 63 == bench["hgeie"] == bench["hgeip"] == 0
        assert not (bench["hie"] | bench["mie"] | bench["mideleg"]) >> SGEI & 1


def test_m_and_s_files_are_apart() -> None:
    bench = advanced()
    bench.hart.receive_msi(M_FILE, 5)
    bench.hart.receive_msi(S_FILE, 6)
    assert (get(bench, "m", EIP), get(bench, "s", EIP)) == (1 << 5, 1 << 6)


def test_a_message_wakes_a_hart_that_waits() -> None:
    bench = advanced("wfi", mode="HS")
    bench["mideleg"] = bench["mie"] = bits(SEI)
    open_file(bench, "s")
    bench.hart.run(100)
    assert bench.hart.waiting
    bench.hart.receive_msi(S_FILE, 6)
    bench["sstatus"] = 2
    trap = bench.trap()
    assert (trap.cause, trap.mode, bench.hart.waiting) == (SEI, "HS", False)


@pytest.mark.parametrize(("isa", "guest_files", "message"), [
    (DEFAULT_ISA, 0, "need a hart with Smaia"),
    (AIA, 8, "0 to 7"),
    (AIA, -1, "0 to 7"),
    (without(AIA, "H"), 1, "without H none"),
])
def test_a_hart_that_cannot_be_is_refused(isa: frozenset[str], guest_files: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Hart(Memory(4096), isa=isa, guest_files=guest_files)


def test_there_are_just_so_many_files() -> None:
    for guest_files, count in ((None, 0), (0, 2), (3, 5)):
        hart = advanced(guest_files=guest_files).hart
        for wrong in (-1, count):
            with pytest.raises(ValueError, match=f"this hart has {count} interrupt files"):
                hart.receive_msi(wrong, 1)


def test_a_saved_hart_has_its_files_and_priorities() -> None:
    bench = advanced()
    bench["hstatus"] = 1 << 12
    open_file(bench, "vs")
    bench.hart.receive_msi(GUEST_1, 6)
    put(bench, "s", 0x30, U64)
    bench["mvien"], bench["mvip"] = bits(SEI), bits(SEI)
    other = Hart(copy_memory(bench.memory), isa=AIA, guest_files=3)
    other.restore(bench.hart.save())
    assert other.save() == bench.hart.save()
    assert other.read_file(GUEST_1) == bench.hart.read_file(GUEST_1)
    assert other.read_csr(0x151) == bench["sireg"] != 0
    with pytest.raises(ValueError, match="has 5 interrupt files, this one 2"):
        Hart(Memory(4096), isa=AIA, guest_files=0).restore(bench.hart.save())


@pytest.mark.parametrize("seed", range(20))
def test_random_programs_come_to_the_same_end_however_they_are_cut(seed: int) -> None:
    """Whole, in pieces, and saved half way, with files open and messages arriving."""
    random = Random(f"advanced {seed}")
    case = make_case(seed)
    messages = sorted((random.randrange(600), random.randrange(5 if case.has_h else 2), random.randrange(256))
                      for _ in range(12))

    def start() -> Hart:
        hart = case.start(AIA, 3 if case.has_h else 0)
        for file in range(5 if case.has_h else 2):
            hart.write_file(file, True, 0, 0, U64)
        return hart

    def run(hart: Hart, cut: int) -> Hart:
        waiting = [message for message in messages if message[0] >= hart.steps]
        while hart.steps < 600:
            while waiting and waiting[0][0] <= hart.steps:
                hart.receive_msi(*waiting.pop(0)[1:])
            until = min(600, waiting[0][0] if waiting else 600, hart.steps + cut)
            if not run_to(hart, until):
                break
            if hart.steps >= 300 and cut == SAVE:
                saved, memory = hart.save(), copy_memory(hart.memory)
                hart = Hart(memory, isa=AIA, has_h=case.has_h, guest_files=3 if case.has_h else 0)
                hart.restore(saved)
                cut = 600
        return hart

    whole = run(start(), 600).save()
    assert run(start(), 1).save() == whole
    assert run(start(), SAVE).save() == whole
