"""What is taken first, and who may make interrupts for whom (AIA, "Interrupts for Machine and Supervisor Levels",
"Interrupts for Virtual Machines (VS Level)")."""

from __future__ import annotations

import pytest

from hartvisor.core.isa.extensions import without

from .advanced import (
    AIA,
    EIDELIVERY,
    IPRIO,
    LCOFI,
    LOCALS,
    M_FILE,
    MEI,
    MSI,
    MTI,
    S_FILE,
    SEI,
    SGEI,
    SSI,
    STI,
    VSEI,
    VSSI,
    VSTI,
    VTI,
    advanced,
    bits,
    get,
    open_file,
    pending,
    prioritize,
    put,
    top,
)
from .bench import U64


class TestDefaultOrder:
    """Without priority numbers the order is the manual's, and topi agrees with the trap."""

    ORDER = (MEI, MSI, MTI, SEI, SSI, STI, LCOFI)

    @pytest.mark.parametrize("guest_files", [None, 0])
    def test_m_mode_takes_them_in_order(self, guest_files: int | None) -> None:
        for at, first in enumerate(self.ORDER):
            bench = advanced(guest_files=guest_files)
            pending(bench, *self.ORDER[at:])
            bench["mstatus"] = 8
            assert bench["mtopi"] >> 16 == first
            assert bench.trap().cause == first

    def test_s_mode_takes_them_in_order(self) -> None:
        order = (SEI, SSI, STI, VSEI, VSSI, VSTI, LCOFI)
        for at, first in enumerate(order):
            bench = advanced(mode="HS")
            bench["mideleg"] = U64
            pending(bench, *order[at:])
            bench["sstatus"] = 2
            assert bench["stopi"] >> 16 == first
            assert (bench.trap().mode, bench["scause"] & 63) == ("HS", first)

    def test_vs_mode_takes_them_in_order(self) -> None:
        order = (VSEI, VSSI, VSTI, LCOFI)
        for at, first in enumerate(order):
            bench = advanced(mode="VS")
            bench["mideleg"] = bench["hideleg"] = U64
            pending(bench, *order[at:])
            bench["vsstatus"] = 2
            wanted = first if first == LCOFI else first - 1
            assert bench["vstopi"] >> 16 == wanted
            assert (bench.trap().mode, bench["vscause"] & 63) == ("VS", wanted)

    def test_made_interrupts_stand_where_the_plan_puts_them(self) -> None:
        """47, 23, 46 and so on above external interrupts; 39, 19 and so on below LCOFI; custom ones last here."""
        above = [47, 23, 46, 45, 22, 44, 43, 21, 42, 41, 20, 40]
        below = [39, 19, 38, 37, 18, 36, 35, 17, 34, 33, 16, 32, 14, 15, *range(24, 32), *range(48, 64)]
        bench = advanced()
        bench["mvien"] = bench["mvip"] = bench["sie"] = LOCALS
        bench["mideleg"] = U64
        pending(bench, SEI, LCOFI)
        seen = []
        while first := bench["stopi"] >> 16:
            seen.append(first)
            bench["mvip"] = bench["mvip"] & ~bits(first)
            bench["mip"] = bench["mip"] & ~bits(first)
        assert seen == [*above, SEI, LCOFI, *below]

    def test_topi_is_zero_without_an_interrupt_that_is_pending_enabled_and_the_levels(self) -> None:
        bench = advanced()
        bench["mip"] = bits(SSI)
        assert bench["mtopi"] == bench["stopi"] == 0
        bench["mie"] = bits(SSI)
        assert (bench["mtopi"], bench["stopi"]) == (top(SSI, 255), 0)
        bench["mideleg"] = bits(SSI)
        assert (bench["mtopi"], bench["stopi"]) == (0, top(SSI, 255))
        assert bench["mstatus"] & 0xA == 0, "whether interrupts are on at all does not matter"

    def test_without_an_imsic_iprio_is_1(self) -> None:
        bench = advanced(guest_files=None)
        bench["mideleg"] = bits(SEI, SSI)
        pending(bench, MSI, SSI)
        assert (bench["mtopi"], bench["stopi"]) == (top(MSI, 1), top(SSI, 1))


class TestPriorities:
    """The iprio arrays ("Configuring priorities of major interrupts")."""

    @pytest.mark.parametrize(("window", "writable"), [
        ("m", (SSI, MSI, STI, MTI, SEI, LCOFI)), ("s", (SSI, VSSI, STI, VSTI, VSEI, SGEI, *range(LCOFI, 64))),
    ])
    def test_what_the_level_can_enable_has_a_number_but_its_own_external(
        self, window: str, writable: tuple[int, ...]
    ) -> None:
        bench = advanced()
        for word in range(8):
            put(bench, window, IPRIO + 2 * word, U64)
        arrays = b"".join(get(bench, window, IPRIO + 2 * word).to_bytes(8, "little") for word in range(8))
        assert arrays == bytes(255 * (irq in writable) for irq in range(64))

    def test_the_levels_arrays_are_apart(self) -> None:
        bench = advanced()
        prioritize(bench, "m", i1=5)
        prioritize(bench, "s", i1=6)
        assert (get(bench, "m", IPRIO), get(bench, "s", IPRIO)) == (5 << 8, 6 << 8)

    def test_without_an_imsic_they_are_read_only_zero(self) -> None:
        bench = advanced(guest_files=None)
        for window in "ms":
            put(bench, window, IPRIO, U64)
            assert get(bench, window, IPRIO) == 0

    def test_numbers_mix_with_those_of_external_interrupts(self) -> None:
        """STI with number 5 comes after identity 4 and before 6; of equals the default order decides."""
        bench = advanced(mode="HS")
        bench["mideleg"] = U64
        open_file(bench, "s")
        prioritize(bench, "s", i5=5)
        pending(bench, STI)
        assert bench["stopi"] == top(STI, 5)
        for identity, first in ((6, STI), (5, SEI), (4, SEI)):
            bench.hart.receive_msi(S_FILE, identity)
            assert bench["stopi"] == top(first, 5 if first == STI else identity)
        bench["sstatus"] = 2
        assert bench.trap().cause == SEI

    def test_a_number_lowers_what_comes_first_by_default(self) -> None:
        bench = advanced()
        bench["mvien"] = bench["mvip"] = bench["sie"] = bits(43)
        bench["mideleg"] = U64
        open_file(bench, "s")
        bench["mie"] = bits(SEI)
        bench.hart.receive_msi(S_FILE, 2)
        assert bench["stopi"] == top(43, 0)
        prioritize(bench, "s", i43=3)
        assert bench["stopi"] == top(SEI, 2)

    def test_of_two_numbers_the_smaller_comes_first(self) -> None:
        bench = advanced()
        prioritize(bench, "m", i3=9, i7=8)
        pending(bench, MSI, MTI)
        assert bench["mtopi"] == top(MTI, 8)
        bench["mstatus"] = 8
        assert bench.trap().cause == MTI

    def test_an_external_interrupt_that_software_made_has_256(self) -> None:
        """So it comes behind every number, and before what has none; IPRIO shows 255."""
        bench = advanced()
        bench["mideleg"] = U64
        pending(bench, SEI, SSI, STI)
        assert bench["stopi"] == top(SEI, 255)
        prioritize(bench, "s", i5=255)
        assert bench["stopi"] == top(STI, 255)

    def test_a_file_that_does_not_deliver_gives_no_number(self) -> None:
        bench = advanced()
        bench["mideleg"] = U64
        open_file(bench, "s")
        put(bench, "s", EIDELIVERY, 0)
        bench.hart.receive_msi(S_FILE, 2)
        pending(bench, SEI)
        assert bench["stopi"] == top(SEI, 255)

    def test_m_mode_takes_sei_by_the_number_in_its_array(self) -> None:
        bench = advanced()
        open_file(bench, "m")
        prioritize(bench, "m", i9=5)
        pending(bench, SEI)
        bench.hart.receive_msi(M_FILE, 6)
        assert bench["mtopi"] == top(SEI, 5)
        bench.hart.receive_msi(M_FILE, 4)
        assert bench["mtopi"] == top(MEI, 4)

    def test_m_mode_goes_before_s_mode_whatever_the_numbers(self) -> None:
        bench = advanced(mode="U")
        bench["mideleg"] = bits(SSI)
        prioritize(bench, "s", i1=1)
        prioritize(bench, "m", i3=255)
        pending(bench, SSI, MSI)
        assert bench.trap().cause == MSI


class TestVirtualInterruptsOfSMode:
    """mvien and mvip ("Interrupt filtering and virtual interrupts for supervisor level")."""

    def test_these_bits_can_be_set(self) -> None:
        bench = advanced()
        bench["mvien"] = bench["mvip"] = U64
        assert bench["mvien"] == bits(SSI, SEI, LCOFI) | LOCALS
        assert bench["mvip"] == bits(SSI, STI, SEI, LCOFI) | LOCALS
        without_lcofi = advanced(isa=without(AIA, "Sscofpmf"))
        without_lcofi["mvien"] = without_lcofi["mvip"] = U64
        assert not (without_lcofi["mvien"] | without_lcofi["mvip"]) >> LCOFI & 1

    @pytest.mark.parametrize("irq", [SSI, SEI, LCOFI, 14, 43, 63])
    def test_sip_and_sie_are_zero_aliases_or_mvips(self, irq: int) -> None:
        """The table of mideleg, mvien, sip, sie."""
        bit = bits(irq)
        for delegated in (0, bit):
            for enabled in (0, bit):
                bench = advanced()
                bench["mideleg"], bench["mvien"] = delegated, enabled
                is_delegated = bench["mideleg"] & bit
                bench["mvip"] = bit
                bench["sie"] = bit
                own = enabled and not is_delegated
                assert bench["sie"] == (bit if is_delegated or own else 0)
                assert bench["mie"] & bit == (bit if is_delegated else 0)
                seen_through = is_delegated and irq in (SSI, SEI) and not enabled  # mvip is mip's bit then
                assert bench["sip"] == (bit if own or seen_through else 0)

    @pytest.mark.parametrize("irq", [SSI, SEI, LCOFI, 14, 43, 63])
    def test_they_trap_to_s_mode_though_not_delegated(self, irq: int) -> None:
        bench = advanced(mode="U")
        bench["mvien"] = bench["mvip"] = bench["sie"] = bits(irq)
        assert bench["mtopi"] == 0
        trap = bench.trap()
        assert (trap.mode, trap.cause, trap.is_interrupt) == ("HS", irq, True)

    def test_the_real_one_still_traps_to_m_mode(self) -> None:
        bench = advanced(mode="HS")
        bench["mvien"] = bits(SEI)
        bench["sie"] = bench["mie"] = bits(SEI)
        open_file(bench, "s")
        bench.hart.receive_msi(S_FILE, 3)
        assert bench["sip"] == 0
        assert bench.trap().mode == "M"

    def test_mvip_is_mip_where_mvien_leaves_it(self) -> None:
        bench = advanced()
        bench["mip"] = bits(SSI, STI, SEI)
        assert bench["mvip"] == bits(SSI, STI, SEI)
        bench["mvip"] = 0
        assert bench["mip"] == 0
        bench["menvcfg"] = 1 << 63
        bench["mvip"] = bits(STI)
        assert not bench["mvip"] & bits(STI), "stimecmp's alone"

    def test_mvien_splits_ssip_from_mip(self) -> None:
        bench = advanced()
        bench["mvien"] = bits(SSI)
        bench["mvip"] = bits(SSI)
        assert (bench["mip"], bench["sip"]) == (0, bits(SSI))
        bench["sip"] = 0
        assert bench["mvip"] == 0
        bench["mip"] = bits(SSI)
        assert (bench["mvip"], bench["sip"]) == (0, 0)

    def test_mvien_splits_the_soft_seip_from_mip_and_keeps_its_value(self) -> None:
        """mip.SEIP is then the controller's signal, read-only."""
        for soft in (0, bits(SEI)):
            bench = advanced()
            bench["mip"] = soft
            bench["mvien"] = bits(SEI)
            assert (bench["mvip"], bench["mip"], bench["sip"]) == (soft, 0, soft)
            bench["mip"] = U64
            assert not bench["mip"] & bits(SEI)
            bench.hart.set_irq(SEI, True)
            assert bench["mip"] & bits(SEI)
            bench.hart.set_irq(SEI, False)
            bench["mvien"] = 0
            assert bench["mip"] & bits(SEI) == bench["mvip"] & bits(SEI) == soft

    def test_s_mode_cannot_clear_its_seip(self) -> None:
        bench = advanced()
        bench["mvien"] = bench["mvip"] = bits(SEI)
        bench["sip"] = 0
        assert bench["sip"] == bits(SEI)

    def test_what_s_mode_does_not_get_is_zero_in_hideleg(self) -> None:
        bench = advanced()
        bench["hideleg"] = U64
        assert bench["hideleg"] == bits(VSSI, VSTI, VSEI)
        bench["mvien"] = bits(LCOFI)
        assert bench["hideleg"] == bits(VSSI, VSTI, VSEI, LCOFI)


class TestWfi:
    """WFI ends when something is pending at any level."""

    @pytest.mark.parametrize("mode", ["M", "HS"])
    @pytest.mark.parametrize("setup", [
        {"mvien": bits(43), "mvip": bits(43), "sie": bits(43)},
        {"hvien": bits(43), "hvip": bits(43), "vsie": bits(43)},
        {"hvictl": VTI | 40 << 16},
        {"mie": bits(SSI), "mip": bits(SSI)},
    ])
    def test_it_wakes_for(self, mode: str, setup: dict[str, int]) -> None:
        bench = advanced("wfi\nnop", mode=mode)
        for name, value in setup.items():
            bench[name] = value
        bench.hart.run(2)
        assert not bench.hart.waiting

    def test_it_sleeps_otherwise(self) -> None:
        bench = advanced("wfi\nnop")
        bench["mvip"], bench["sie"] = bits(43), bits(43)
        bench.hart.run(2)
        assert bench.hart.waiting
