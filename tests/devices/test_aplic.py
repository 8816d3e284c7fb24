"""APLIC: sources, delegation, delivery by wire and by message (AIA, "Advanced Platform-Level Interrupt Controller")."""

from __future__ import annotations

import pytest

from hartvisor.core.devices.aplic import Aplic, Domain, Mode
from hartvisor.core.devices.aplic_registers import (
    CLRIE,
    DELEGATED,
    DM,
    DOMAINCFG,
    DOMAINCFG_FIXED,
    GENMSI,
    IDC_BASE,
    IDC_SIZE,
    IDELIVERY,
    IE,
    IFORCE,
    IN_CLRIP,
    ITHRESHOLD,
    MSIADDRCFG,
    N_SOURCES,
    NUMBER,
    SETIE,
    SETIP,
    SETIPNUM_LE,
    TARGET,
)
from hartvisor.core.devices.device import DeviceFault
from hartvisor.core.devices.imsic import Imsic

from .lines import Line

HARTS = 2
TOPI, CLAIMI = 0x18, 0x1C
WORD = 0xFFFF_FFFF
LOCK = 1 << 31
M_PAGES, S_PAGES = 0x2400_0, 0x2800_0
"""Page numbers of the interrupt files that messages go to."""


class Chip:
    """An APLIC of two harts with wires, or with messages that are kept as (address, identity)."""

    def __init__(self, *, messages: bool = False, guests: int = 0) -> None:
        self.lines = [(Line(), Line()) for _ in range(HARTS)]
        self.sent: list[tuple[int, int]] = []
        self.aplic = Aplic(HARTS, None if messages else self.lines, self.keep if messages else None, guests)
        self.root, self.leaf = self.aplic.machine, self.aplic.supervisor

    def keep(self, address: int, identity: int) -> None:
        self.sent.append((address, identity))

    def configure(self, domain: Domain, source: int, mode: int, target: int = 1) -> None:
        """Make a source active in a domain, enabled, with everything open."""
        if domain is self.leaf:
            self.root.store(4 * source, 4, DELEGATED)
        domain.store(4 * source, 4, mode)
        domain.store(TARGET + 4 * source, 4, target)
        domain.store(SETIE + NUMBER, 4, source)
        domain.store(DOMAINCFG, 4, IE)
        for hart in range(HARTS):
            domain.store(IDC_BASE + IDC_SIZE * hart + IDELIVERY, 4, 1)


def is_pending(domain: Domain, source: int) -> bool:
    return bool(domain.load(SETIP + source // 32 * 4, 4) >> source % 32 & 1)


def idc(domain: Domain, register: int, hart: int = 0) -> int:
    return domain.load(IDC_BASE + IDC_SIZE * hart + register, 4)


@pytest.fixture(params=["root", "leaf"])
def wired(request: pytest.FixtureRequest) -> tuple[Chip, Domain, list[Line]]:
    """A wired chip, one of its domains and that domain's lines."""
    chip = Chip()
    at = int(request.param == "leaf")
    return chip, (chip.root, chip.leaf)[at], [pair[at] for pair in chip.lines]


class TestDomaincfg:
    @pytest.mark.parametrize(("messages", "dm"), [(False, 0), (True, DM)])
    def test_only_ie_can_be_written(self, messages: bool, dm: int) -> None:
        chip = Chip(messages=messages)
        for domain in (chip.root, chip.leaf):
            assert domain.load(DOMAINCFG, 4) == DOMAINCFG_FIXED | dm
            domain.store(DOMAINCFG, 4, WORD)
            assert domain.load(DOMAINCFG, 4) == DOMAINCFG_FIXED | dm | IE

    def test_without_ie_nothing_is_signaled_but_all_else_works(self) -> None:
        chip = Chip()
        chip.configure(chip.root, 10, Mode.LEVEL1)
        chip.root.store(DOMAINCFG, 4, 0)
        chip.aplic.set_source(10, True)
        assert (chip.lines[0][0].level, is_pending(chip.root, 10), idc(chip.root, TOPI)) == (False, True, 10 << 16 | 1)
        chip.root.store(DOMAINCFG, 4, IE)
        assert chip.lines[0][0].level


class TestSourcecfg:
    def test_modes_and_reserved_ones(self) -> None:
        chip = Chip()
        for value, kept in ((0, 0), (1, 1), (2, 0), (3, 0), (4, 4), (5, 5), (6, 6), (7, 7), (0xFFFF_F80E, 6)):
            chip.root.store(4 * 5, 4, value)
            assert chip.root.load(4 * 5, 4) == kept

    def test_the_root_delegates_to_its_only_child(self) -> None:
        chip = Chip()
        chip.root.store(4 * 5, 4, DELEGATED | 7)
        assert chip.root.load(4 * 5, 4) == DELEGATED

    def test_a_leaf_cannot_delegate(self) -> None:
        chip = Chip()
        chip.root.store(4 * 5, 4, DELEGATED)
        chip.leaf.store(4 * 5, 4, 6)
        chip.leaf.store(4 * 5, 4, DELEGATED | 6)
        assert chip.leaf.load(4 * 5, 4) == 0

    def test_what_is_not_delegated_does_not_exist_below(self) -> None:
        chip = Chip()
        chip.leaf.store(4 * 5, 4, 7)
        chip.leaf.store(SETIE, 4, WORD)
        chip.leaf.store(SETIP, 4, WORD)
        assert [chip.leaf.load(at, 4) for at in (4 * 5, SETIE, SETIP, IN_CLRIP, TARGET + 4 * 5)] == [0] * 5

    def test_what_is_taken_back_is_forgotten_below(self) -> None:
        chip = Chip()
        chip.configure(chip.leaf, 5, Mode.LEVEL0)
        assert chip.lines[0][1].level
        chip.root.store(4 * 5, 4, Mode.INACTIVE)
        assert not chip.lines[0][1].level
        chip.root.store(4 * 5, 4, DELEGATED)
        assert [chip.leaf.load(at, 4) for at in (4 * 5, SETIE, SETIP, TARGET + 4 * 5)] == [0] * 4

    def test_an_inactive_source_has_nothing(self) -> None:
        chip = Chip()
        chip.configure(chip.root, 5, Mode.DETACHED)
        chip.root.store(SETIP + NUMBER, 4, 5)
        chip.root.store(4 * 5, 4, Mode.INACTIVE)
        for register in (SETIE, SETIP, TARGET + 4 * 5):
            chip.root.store(register, 4, WORD)
            assert chip.root.load(register, 4) == 0

    def test_sources_end_at_96(self) -> None:
        chip = Chip()
        chip.root.store(4 * N_SOURCES, 4, 1)
        chip.root.store(4 * (N_SOURCES + 1), 4, 1)
        assert [chip.root.load(4 * (N_SOURCES + more), 4) for more in (0, 1)] == [1, 0]
        chip.root.store(SETIP + NUMBER, 4, N_SOURCES)
        assert chip.root.load(SETIP + 12, 4) == 1


class TestPending:
    """Precise effects on interrupt-pending bits: each mode, by wire and by software, with and without messages."""

    @pytest.mark.parametrize("messages", [False, True])
    @pytest.mark.parametrize("mode", [Mode.DETACHED, Mode.EDGE1, Mode.EDGE0, Mode.LEVEL1, Mode.LEVEL0])
    def test_edges_of_the_wire(self, mode: Mode, messages: bool) -> None:
        chip = Chip(messages=messages)
        inverted = mode in (Mode.EDGE0, Mode.LEVEL0)
        chip.aplic.set_source(5, inverted)
        chip.root.store(4 * 5, 4, mode)
        assert not is_pending(chip.root, 5)
        chip.aplic.set_source(5, not inverted)
        assert is_pending(chip.root, 5) == (mode is not Mode.DETACHED)
        assert chip.root.load(IN_CLRIP, 4) == (0 if mode is Mode.DETACHED else 1 << 5)
        chip.aplic.set_source(5, inverted)
        assert is_pending(chip.root, 5) == (mode in (Mode.EDGE1, Mode.EDGE0))
        assert chip.root.load(IN_CLRIP, 4) == 0

    @pytest.mark.parametrize("messages", [False, True])
    @pytest.mark.parametrize("mode", [Mode.DETACHED, Mode.EDGE1, Mode.EDGE0, Mode.LEVEL1, Mode.LEVEL0])
    @pytest.mark.parametrize("register", ["word", "number", "little-endian"])
    def test_software(self, mode: Mode, messages: bool, register: str) -> None:
        is_level = mode in (Mode.LEVEL1, Mode.LEVEL0)
        inverted = mode in (Mode.EDGE0, Mode.LEVEL0)
        for is_high in (False, True):
            chip = Chip(messages=messages)
            chip.aplic.set_source(5, is_high != inverted)
            chip.root.store(4 * 5, 4, mode)
            clear, name = {"word": (IN_CLRIP, 1 << 5)}.get(register, (IN_CLRIP + NUMBER, 5))
            chip.root.store(clear, 4, name)
            assert is_pending(chip.root, 5) == (is_level and is_high and not messages)
            put, name = {"word": (SETIP, 1 << 5), "number": (SETIP + NUMBER, 5)}.get(register, (SETIPNUM_LE, 5))
            chip.root.store(put, 4, name)
            assert is_pending(chip.root, 5) == (is_high if is_level else True)

    def test_a_change_of_mode_sees_a_wire_that_is_high(self) -> None:
        chip = Chip()
        chip.aplic.set_source(5, True)
        for mode, pending in ((Mode.EDGE1, True), (Mode.INACTIVE, False), (Mode.LEVEL0, False), (Mode.LEVEL1, True)):
            chip.root.store(4 * 5, 4, mode)
            assert is_pending(chip.root, 5) == pending

    def test_enables_by_word_and_number(self) -> None:
        chip = Chip()
        for source in (1, 40, 96):
            chip.root.store(4 * source, 4, Mode.DETACHED)
        for word in range(4):
            chip.root.store(SETIE + 4 * word, 4, WORD)
        assert [chip.root.load(SETIE + 4 * word, 4) for word in range(4)] == [1 << 1, 1 << 8, 0, 1]
        chip.root.store(CLRIE + NUMBER, 4, 40)
        chip.root.store(CLRIE + 12, 4, 1)
        chip.root.store(SETIE + NUMBER, 4, 0)
        chip.root.store(SETIE + NUMBER, 4, 97)
        assert [chip.root.load(SETIE + 4 * word, 4) for word in range(4)] == [1 << 1, 0, 0, 0]
        for register in (CLRIE, CLRIE + NUMBER, SETIE + NUMBER, SETIPNUM_LE):
            assert chip.root.load(register, 4) == 0


class TestWires:
    """Interrupt delivery directly by the APLIC: the IDCs."""

    def test_the_line_follows_topi_idelivery_and_ie(self, wired: tuple[Chip, Domain, list[Line]]) -> None:
        chip, domain, lines = wired
        chip.configure(domain, 10, Mode.LEVEL1)
        assert not lines[0].level
        chip.aplic.set_source(10, True)
        assert (lines[0].level, lines[1].level, idc(domain, TOPI)) == (True, False, 10 << 16 | 1)
        domain.store(IDC_BASE + IDELIVERY, 4, 0)
        assert (lines[0].level, idc(domain, TOPI)) == (False, 10 << 16 | 1)
        domain.store(IDC_BASE + IDELIVERY, 4, 1)
        domain.store(CLRIE + NUMBER, 4, 10)
        assert (lines[0].level, idc(domain, TOPI)) == (False, 0)

    def test_smaller_numbers_and_then_lower_sources_come_first(self, wired: tuple[Chip, Domain, list[Line]]) -> None:
        chip, domain, _ = wired
        for source, priority in ((20, 3), (21, 2), (22, 2), (5, 4)):
            chip.configure(domain, source, Mode.DETACHED, priority)
            domain.store(SETIP + NUMBER, 4, source)
        taken = [idc(domain, CLAIMI) for _ in range(5)]
        assert taken == [21 << 16 | 2, 22 << 16 | 2, 20 << 16 | 3, 5 << 16 | 4, 0]

    def test_the_threshold_holds_back_its_own_number_and_above(self, wired: tuple[Chip, Domain, list[Line]]) -> None:
        chip, domain, lines = wired
        chip.configure(domain, 20, Mode.DETACHED, 3)
        domain.store(SETIP + NUMBER, 4, 20)
        for threshold, passes in ((0, True), (3, False), (4, True), (1, False), (7, True)):
            domain.store(IDC_BASE + ITHRESHOLD, 4, threshold)
            assert (idc(domain, ITHRESHOLD), lines[0].level, idc(domain, TOPI) != 0) == (threshold, passes, passes)

    def test_a_claim_clears_pending_but_for_levels(self, wired: tuple[Chip, Domain, list[Line]]) -> None:
        chip, domain, lines = wired
        chip.configure(domain, 10, Mode.LEVEL1)
        chip.aplic.set_source(10, True)
        assert idc(domain, CLAIMI) == idc(domain, CLAIMI) == 10 << 16 | 1
        chip.aplic.set_source(10, False)
        assert (idc(domain, CLAIMI), lines[0].level) == (0, False)

    def test_target_chooses_the_hart(self, wired: tuple[Chip, Domain, list[Line]]) -> None:
        chip, domain, lines = wired
        chip.configure(domain, 20, Mode.DETACHED, 1 << 18 | 5)
        domain.store(SETIP + NUMBER, 4, 20)
        assert ([line.level for line in lines], idc(domain, TOPI, 1)) == ([False, True], 20 << 16 | 5)
        assert (idc(domain, CLAIMI, 1), [line.level for line in lines]) == (20 << 16 | 5, [False, False])

    def test_target_has_three_bits_of_priority_never_zero(self) -> None:
        chip = Chip()
        chip.root.store(4 * 5, 4, Mode.DETACHED)
        for written, kept in ((0, 1), (8, 1), (0xFF, 7), (1 << 18 | 3, 1 << 18 | 3), (5 << 18 | 2, 1 << 18 | 2)):
            chip.root.store(TARGET + 4 * 5, 4, written)
            assert chip.root.load(TARGET + 4 * 5, 4) == kept

    def test_iforce_makes_a_spurious_interrupt_that_a_claim_ends(self, wired: tuple[Chip, Domain, list[Line]]) -> None:
        chip, domain, lines = wired
        chip.configure(domain, 10, Mode.LEVEL1)
        domain.store(IDC_BASE + IFORCE, 4, 1)
        assert (lines[0].level, idc(domain, TOPI)) == (True, 0)
        assert (idc(domain, CLAIMI), idc(domain, IFORCE), lines[0].level) == (0, 0, False)

    def test_harts_that_do_not_exist_have_no_idc(self) -> None:
        chip = Chip()
        chip.root.store(IDC_BASE + IDC_SIZE * HARTS, 4, 1)
        assert chip.root.load(IDC_BASE + IDC_SIZE * HARTS, 4) == 0

    def test_messages_registers_are_zero(self) -> None:
        chip = Chip()
        for register in (GENMSI, MSIADDRCFG, MSIADDRCFG + 4, MSIADDRCFG + 8, MSIADDRCFG + 12):
            chip.root.store(register, 4, 5)
            assert chip.root.load(register, 4) == 0


def messenger(guests: int = 3) -> Chip:
    """A chip that sends to the harts' files as QEMU's virt has them: a page a hart, and 4 for S-mode and guests."""
    chip = Chip(messages=True, guests=guests)
    for place, value in enumerate((M_PAGES, 1 << 12, S_PAGES, 2 << 20)):
        chip.root.store(MSIADDRCFG + 4 * place, 4, value)
    return chip


class TestMessages:
    """Interrupt forwarding by MSIs."""

    @pytest.mark.parametrize(("at", "hart", "guest", "page"), [
        ("root", 0, 0, M_PAGES), ("root", 1, 0, M_PAGES + 1), ("root", 1, 3, M_PAGES + 1),
        ("leaf", 0, 0, S_PAGES), ("leaf", 1, 0, S_PAGES + 4), ("leaf", 1, 3, S_PAGES + 7),
    ])
    def test_target_says_where_and_what(self, at: str, hart: int, guest: int, page: int) -> None:
        chip = messenger()
        domain = getattr(chip, at)
        chip.configure(domain, 10, Mode.EDGE1, hart << 18 | guest << 12 | 200)
        assert domain.load(TARGET + 40, 4) == hart << 18 | (guest << 12 if at == "leaf" else 0) | 200
        chip.aplic.set_source(10, True)
        assert chip.sent == [(page << 12, 200)]
        assert not is_pending(domain, 10)

    def test_nothing_is_sent_until_it_is_enabled_and_the_domain_is_on(self) -> None:
        chip = messenger()
        chip.configure(chip.root, 10, Mode.EDGE1, 7)
        chip.root.store(DOMAINCFG, 4, 0)
        chip.root.store(CLRIE + NUMBER, 4, 10)
        chip.aplic.set_source(10, True)
        chip.root.store(DOMAINCFG, 4, IE)
        assert (chip.sent, is_pending(chip.root, 10)) == ([], True)
        chip.root.store(SETIE + NUMBER, 4, 10)
        assert chip.sent == [(M_PAGES << 12, 7)]

    def test_a_level_is_sent_once_and_again_by_setipnum_while_high(self) -> None:
        chip = messenger()
        chip.configure(chip.root, 10, Mode.LEVEL1, 7)
        chip.aplic.set_source(10, True)
        chip.aplic.set_source(10, True)
        assert len(chip.sent) == 1
        chip.root.store(SETIPNUM_LE, 4, 10)
        assert len(chip.sent) == 2
        chip.aplic.set_source(10, False)
        chip.root.store(SETIP + NUMBER, 4, 10)
        assert len(chip.sent) == 2

    def test_genmsi_sends_whatever_ie_says(self) -> None:
        chip = messenger()
        chip.leaf.store(GENMSI, 4, 1 << 18 | 3 << 12 | 9)
        assert chip.sent == [((S_PAGES + 4) << 12, 9)]
        assert chip.leaf.load(GENMSI, 4) == 1 << 18 | 9

    def test_lock_makes_addresses_read_only(self) -> None:
        chip = messenger()
        chip.root.store(MSIADDRCFG + 4, 4, LOCK | 1 << 12)
        for place in range(4):
            chip.root.store(MSIADDRCFG + 4 * place, 4, 0x123)
        assert [chip.root.load(MSIADDRCFG + 4 * place, 4) for place in range(4)] == [
            M_PAGES, LOCK | 1 << 12, S_PAGES, 2 << 20]

    def test_addresses_have_these_fields_and_are_the_roots(self) -> None:
        chip = Chip(messages=True)
        for place, kept in ((0, WORD), (2, WORD), (3, 0x0070_0FFF), (1, 0x9F77_FFFF)):
            chip.leaf.store(MSIADDRCFG + 4 * place, 4, WORD)
            assert chip.root.load(MSIADDRCFG + 4 * place, 4) == chip.leaf.load(MSIADDRCFG + 4 * place, 4) == 0
            chip.root.store(MSIADDRCFG + 4 * place, 4, WORD)
            assert chip.root.load(MSIADDRCFG + 4 * place, 4) == kept
        assert chip.leaf.load(MSIADDRCFG, 4) == 0

    def test_groups_of_harts(self) -> None:
        """LHXW 0, HHXW 1, HHXS 2: hart 1 is the first of group 1, 2**14 pages up."""
        chip = messenger()
        chip.root.store(MSIADDRCFG + 4, 4, 2 << 24 | 1 << 16)
        for domain, page in ((chip.root, M_PAGES), (chip.leaf, S_PAGES)):
            domain.store(GENMSI, 4, 1 << 18 | 5)
            assert chip.sent.pop() == ((page | 1 << 14) << 12, 5)

    def test_there_are_no_idcs(self) -> None:
        chip = messenger()
        chip.root.store(IDC_BASE + IDELIVERY, 4, 1)
        assert chip.root.load(IDC_BASE + IDELIVERY, 4) == 0


@pytest.mark.parametrize("size", [1, 2, 8])
def test_only_words_are_decoded(size: int) -> None:
    chip, pages = Chip(), Imsic([None])
    for device in (chip.root, chip.leaf, pages):
        with pytest.raises(DeviceFault):
            device.load(0, size)
        with pytest.raises(DeviceFault):
            device.store(0, size, 0)


@pytest.mark.parametrize("messages", [False, True])
def test_a_restored_aplic_goes_on(messages: bool) -> None:
    chip, other = (messenger() if messages else Chip() for _ in range(2))
    chip.configure(chip.leaf, 10, Mode.LEVEL1, 1 << 18 | 5)
    chip.configure(chip.root, 11, Mode.EDGE1, 1)
    chip.root.store(GENMSI, 4, 7)
    chip.root.store(DOMAINCFG, 4, 0)
    for source in (10, 11):
        chip.aplic.set_source(source, True)
    for mine, theirs in ((other.root, chip.root), (other.leaf, chip.leaf)):
        mine.restore(theirs.save())
        assert mine.save() == theirs.save()
    other.sent, chip.sent = [], []
    assert [line.level for pair in other.lines for line in pair] == [line.level for pair in chip.lines for line in pair]
    for which in (chip, other):
        which.root.store(DOMAINCFG, 4, IE)
        which.aplic.set_source(10, False)
        which.aplic.set_source(10, True)
    assert other.sent == chip.sent
    assert [line.level for pair in other.lines for line in pair] == [line.level for pair in chip.lines for line in pair]


def test_a_page_hands_on_what_is_stored_to_its_first_word() -> None:
    got: list[int] = []
    pages = Imsic([None, got.append])
    for offset in (0, 0x1000, 0x1004, 0x1008, 0x1FFC):
        pages.store(offset, 4, 5 + offset)
        assert pages.load(offset, 4) == 0
    assert got == [0x1005]
    pages.restore(pages.save())
    assert pages.save() == {}
