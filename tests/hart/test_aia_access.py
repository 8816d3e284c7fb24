"""Who may access the registers of the AIA, and what else traps (AIA, "Control and Status Registers (CSRs) Added to
Harts"; privileged manual, "Smcsrind/Sscsrind")."""

from __future__ import annotations

from itertools import product

import pytest

from hartvisor.core.isa import causes, csrs
from hartvisor.core.isa.csrs_aia import ALIASES
from hartvisor.core.isa.extensions import DEFAULT_ISA, close

from .advanced import SEI, VSEI, VTI, advanced, bits, select
from .bench import MODES, U64, Bench

ILLEGAL, VIRTUAL, FINE = causes.ILLEGAL_INSTRUCTION, causes.VIRTUAL_INSTRUCTION, 0
CSRIND, STATE, IMSIC = 1 << 60, 1 << 59, 1 << 58
GATES = {"siselect": CSRIND, "vsiselect": CSRIND, "stopei": IMSIC, "vstopei": IMSIC, "stopi": STATE, "vstopi": STATE,
         "hvien": STATE, "hvictl": STATE, "hviprio1": STATE, "hviprio2": STATE,
         **{f"{level}ireg{alias}": CSRIND for level in ("s", "vs") for alias in ALIASES}}
FILE_REGISTERS = (0x70, 0x71, 0x72, 0x7F, *range(0x80, 0x100, 2))
NO_FILE_REGISTERS = range(0x81, 0x100, 2)
NOTHING = (0, 0x2F, 0x40, 0x6F, 0x100, 0xFFF)


def outcome(bench: Bench, instruction: str, mode: str) -> int:
    """The exception that the instruction gets in the mode, or 0."""
    bench.put(instruction)
    bench.hart.pc = 0x8000_0000
    bench.enter(mode)
    traps = bench.hart.guest_traps
    bench.hart.run(1)
    return bench["mcause"] if bench.hart.guest_traps > traps else FINE


def fresh(guest_files: int | None = 3, vgein: int = 1) -> Bench:
    """A hart whose guest has a file, if there are any."""
    bench = advanced(guest_files=guest_files)
    bench["hstatus"] = vgein << 12
    return bench


OPTIONAL = [csr.name for csr in csrs.CSRS if csr.extension in ("Smaia", "Ssaia", "Smcsrind", "Sscsrind")]


@pytest.mark.parametrize("name", OPTIONAL)
def test_without_the_extension_the_csr_does_not_exist(name: str) -> None:
    number = csrs.BY_NAME[name].number
    for mode in MODES:
        assert outcome(Bench(), f"csrr x5, {number:#x}", mode) == ILLEGAL
    with pytest.raises(KeyError):
        Bench().hart.read_csr(number)


@pytest.mark.parametrize("window", ["m", "s", "vs"])
def test_a_select_register_holds_12_bits(window: str) -> None:
    bench = advanced()
    bench[f"{window}iselect"] = U64
    assert bench[f"{window}iselect"] == 0xFFF


def test_the_window_alone_has_nothing_behind_it() -> None:
    """Smcsrind without Smaia."""
    isa = close([*DEFAULT_ISA, "Smcsrind"])
    for window, mode in (("m", "M"), ("s", "M"), ("s", "HS"), ("vs", "HS")):
        for number in (0, 0x30, 0x70, 0x80):
            bench = Bench(isa=isa)
            assert outcome(bench, f"csrr x5, {select(bench, window, number)}", mode) == ILLEGAL


def behind(window: str, number: int, alias: str, mode: str, files: bool, has_file: bool) -> int:
    """What an access to an alias does, from the text: state enables all open, mvien 0.

    files: the hart has an IMSIC. has_file: VGEIN names a guest's file.
    """
    if mode in ("VS", "VU") and (window == "vs" or mode == "VU") and window != "m":
        return VIRTUAL
    if mode == "U" or (window == "m" and mode != "M"):
        return ILLEGAL
    as_guest = mode == "VS"
    level = "vs" if as_guest else window
    denied = VIRTUAL if as_guest else ILLEGAL
    if number in NOTHING:
        return ILLEGAL
    if alias:
        return denied
    if 0x30 <= number < 0x40:
        return denied if level == "vs" or number & 1 else FINE
    if not (has_file if level == "vs" else files):
        return denied
    return denied if number in NO_FILE_REGISTERS else FINE


@pytest.mark.parametrize("guest_files", [None, 3])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("window", ["m", "s", "vs"])
def test_what_is_selected_decides(window: str, mode: str, guest_files: int | None) -> None:
    numbers = (*NOTHING, *range(0x30, 0x40), *FILE_REGISTERS, *NO_FILE_REGISTERS)
    bench = fresh(guest_files)
    for vgein in (0, 1):
        bench["hstatus"] = vgein << 12
        has_file = vgein == 1 and guest_files is not None
        for number, alias in product(numbers, ALIASES):
            if alias and number not in (0, 0x30, 0x31, 0x70, 0x80, 0x81):
                continue
            level = "vs" if mode == "VS" and window == "s" else window
            select(bench, level, number)
            wanted = behind(window, number, alias, mode, guest_files is not None, has_file)
            found = outcome(bench, f"csrr x5, {window}ireg{alias}", mode)
            assert found == wanted, (hex(number), alias, vgein)


@pytest.mark.parametrize("guest_files", [None, 3])
def test_topei_needs_a_file(guest_files: int | None) -> None:
    imsic = guest_files is not None
    for vgein in (0, 1):
        has_file = imsic and vgein == 1
        wanted = {
            ("mtopei", "M"): FINE if imsic else ILLEGAL, ("stopei", "M"): FINE if imsic else ILLEGAL,
            ("stopei", "HS"): FINE if imsic else ILLEGAL, ("stopei", "VS"): FINE if has_file else VIRTUAL,
            ("stopei", "VU"): VIRTUAL, ("stopei", "U"): ILLEGAL, ("mtopei", "HS"): ILLEGAL,
            ("vstopei", "M"): FINE if has_file else ILLEGAL, ("vstopei", "HS"): FINE if has_file else ILLEGAL,
            ("vstopei", "VS"): VIRTUAL, ("vstopei", "VU"): VIRTUAL, ("vstopei", "U"): ILLEGAL,
        }
        for (name, mode), verdict in wanted.items():
            for instruction in (f"csrr x5, {name}", f"csrw {name}, x0"):
                assert outcome(fresh(guest_files, vgein), instruction, mode) == verdict, (name, mode, vgein)


class TestFiltering:
    """With mvien.SEIE, M-mode stands between S-mode and its file."""

    @pytest.mark.parametrize(("mode", "wanted"), [("M", FINE), ("HS", ILLEGAL)])
    def test_s_mode_does_not_reach_its_file(self, mode: str, wanted: int) -> None:
        for number, verdict in ((0x70, wanted), (0x80, wanted), (0xFE, wanted), (0x30, FINE)):
            bench = fresh()
            bench["mvien"] = bits(SEI)
            select(bench, "s", number)
            assert outcome(bench, "csrr x5, sireg", mode) == verdict
        bench = fresh()
        bench["mvien"] = bits(SEI)
        assert outcome(bench, "csrr x5, stopei", mode) == wanted

    def test_guests_files_are_reached_all_the_same(self) -> None:
        for name, mode in (("vsireg", "HS"), ("sireg", "VS"), ("vstopei", "HS"), ("stopei", "VS")):
            bench = fresh()
            bench["mvien"] = bits(SEI)
            select(bench, "vs", 0x80)
            assert outcome(bench, f"csrr x5, {name}", mode) == FINE


class TestStateEnables:
    """mstateen0 and hstateen0: CSRIND, AIA, IMSIC."""

    @pytest.mark.parametrize("name", GATES)
    def test_mstateen0_closes_to_all_below_m(self, name: str) -> None:
        for mode in MODES:
            bench = fresh()
            for window in ("s", "vs"):
                select(bench, window, 0x80)
            bench["mstateen0"] = U64 & ~GATES[name]
            open_ = outcome(fresh_at_file(), f"csrr x5, {name}", mode)
            wanted = open_ if mode == "M" else ILLEGAL
            assert outcome(bench, f"csrr x5, {name}", mode) == wanted, mode

    @pytest.mark.parametrize("name", ["siselect", "sireg", "stopei", "stopi"])
    def test_hstateen0_closes_to_guests(self, name: str) -> None:
        for mode in MODES:
            bench = fresh_at_file()
            bench["hstateen0"] = U64 & ~GATES[name]
            wanted = VIRTUAL if mode in ("VS", "VU") else outcome(fresh_at_file(), f"csrr x5, {name}", mode)
            assert outcome(bench, f"csrr x5, {name}", mode) == wanted, mode

    @pytest.mark.parametrize(("number", "bit"), [(0x30, STATE), (0x80, IMSIC), (0x70, IMSIC)])
    def test_what_is_behind_the_window_has_a_bit_of_its_own(self, number: int, bit: int) -> None:
        for mode, wanted in (("M", FINE), ("HS", ILLEGAL)):
            bench = fresh()
            select(bench, "s", number)
            bench["mstateen0"] = U64 & ~bit
            assert outcome(bench, "csrr x5, sireg", mode) == wanted

    def test_a_guests_file_is_behind_imsic(self) -> None:
        for mode, m, h, wanted in (("HS", 0, 1, ILLEGAL), ("HS", 1, 0, FINE),
                                   ("VS", 1, 0, VIRTUAL), ("VS", 0, 1, ILLEGAL)):
            bench = fresh_at_file()
            bench["hstateen0"] = U64 if h else U64 & ~IMSIC
            bench["mstateen0"] = U64 if m else U64 & ~IMSIC
            assert outcome(bench, "csrr x5, sireg" if mode == "VS" else "csrr x5, vsireg", mode) == wanted

    def test_without_an_imsic_its_bit_is_zero_and_closes_nothing(self) -> None:
        bench = advanced(guest_files=None)
        assert bench["mstateen0"] & (CSRIND | STATE | IMSIC) == CSRIND | STATE
        assert bench["hstateen0"] & (CSRIND | STATE | IMSIC) == CSRIND | STATE
        assert outcome(bench, "csrr x5, stopei", "VS") == VIRTUAL
        select(bench, "vs", 0x80)
        assert outcome(bench, "csrr x5, sireg", "VS") == VIRTUAL

    def test_hgeip_hgeie_and_vgein_are_open_whatever_the_bits(self) -> None:
        for name in ("hgeip", "hgeie", "hstatus"):
            bench = fresh()
            bench["mstateen0"] = U64 & ~(CSRIND | STATE | IMSIC)
            assert outcome(bench, f"csrr x5, {name}", "HS") == FINE


def fresh_at_file() -> Bench:
    """`fresh`, with word 0 of the pending bits selected everywhere."""
    bench = fresh()
    for window in ("s", "vs"):
        select(bench, window, 0x80)
    return bench


class TestVti:
    """hvictl.VTI makes traps of what could show or clear VS-level interrupts behind the hypervisor's back."""

    @pytest.mark.parametrize(
        "instruction", ["csrr x5, sip", "csrr x5, sie", "csrw sip, x0", "csrw sie, x0", "csrw stimecmp, x0"])
    def test_vs_mode_gets_a_virtual_instruction_exception(self, instruction: str) -> None:
        for mode in ("VS", "HS"):
            for vti in (0, VTI):
                bench = fresh()
                bench["hvictl"] = vti | SEI << 16
                bench["menvcfg"] = bench["henvcfg"] = 1 << 63
                bench["mcounteren"] = bench["hcounteren"] = 2
                assert outcome(bench, instruction, mode) == (VIRTUAL if vti and mode == "VS" else FINE)

    def test_reading_stimecmp_does_not_trap(self) -> None:
        bench = fresh()
        bench["hvictl"] = VTI | SEI << 16
        bench["menvcfg"] = bench["henvcfg"] = 1 << 63
        bench["mcounteren"] = bench["hcounteren"] = 2
        assert outcome(bench, "csrr x5, stimecmp", "VS") == FINE


@pytest.mark.parametrize("name", ["mtopi", "stopi", "vstopi"])
def test_topi_is_read_only(name: str) -> None:
    assert outcome(advanced(), f"csrw {name}, x0", "M") == ILLEGAL


@pytest.mark.parametrize("name", ["siselect", "sireg", "stopei", "stopi"])
def test_in_vs_mode_the_supervisors_numbers_name_the_vs_copies(name: str) -> None:
    bench = fresh_at_file()
    for file, identity in ((1, 4), (2, 5)):
        bench.hart.receive_msi(file, identity)
        bench.hart.write_file(file, True, 0, 1 << identity, 1 << identity)
    bench["mideleg"] = bench["hideleg"] = U64
    bench["mie"] = bits(VSEI)
    bench["siselect"], bench["vsiselect"] = 0x80, 0xC0
    here, there = bench[name], bench["v" + name]
    assert here != there
    assert outcome(bench, f"csrr x5, {name}", "VS") == FINE
    assert bench.x(5) == there
