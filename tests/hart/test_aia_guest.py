"""What VS-mode takes, and what is made for it (AIA, "Interrupts for Virtual Machines (VS Level)")."""

from __future__ import annotations

import pytest

from hartvisor.core.isa import causes

from .advanced import (
    GUEST_1,
    LCOFI,
    LOCALS,
    SEI,
    SSI,
    STI,
    VSEI,
    VSSI,
    VSTI,
    VTI,
    advanced,
    bits,
    open_file,
    pending,
    top,
)
from .bench import U64, Bench

IPRIOM, DPR = 1 << 8, 1 << 9


class TestVirtualInterruptsOfVsMode:
    """hvien and hvip, for interrupts 13 to 63."""

    @pytest.mark.parametrize("irq", [LCOFI, 14, 43, 63])
    def test_hvip_shows_in_vsip_where_hvien_lets_it(self, irq: int) -> None:
        bench = advanced(mode="VS")
        bit = bits(irq)
        bench["hvip"] = bit
        bench["vsie"] = bit
        assert (bench["vsip"], bench["vsie"], bench["mip"]) == (0, 0, 0)
        bench["hvien"] = bit
        bench["vsie"] = bit
        assert (bench["vsip"], bench["vsie"], bench["mie"]) == (bit, bit, 0)
        bench["vsstatus"] = 2
        trap = bench.trap()
        assert (trap.mode, trap.cause) == ("VS", irq)
        bench["vsip"] = 0
        assert bench["hvip"] == 0

    def test_hvien_has_none_of_0_to_12(self) -> None:
        bench = advanced()
        bench["hvien"] = bench["hvip"] = U64
        assert bench["hvien"] == bits(LCOFI) | LOCALS
        assert bench["hvip"] == bits(VSSI, VSTI, VSEI, LCOFI) | LOCALS

    def test_what_hideleg_delegates_is_sips(self) -> None:
        bench = advanced()
        bench["mideleg"] = bench["hideleg"] = bench["hvien"] = bits(LCOFI)
        bench["hvip"] = bits(LCOFI)
        assert bench["vsip"] == 0
        bench["mip"] = bits(LCOFI)
        bench["vsie"] = bits(LCOFI)
        assert bench["vsip"] == bits(LCOFI)
        assert bench["sie"] & bench["mie"] == bits(LCOFI)

    def test_m_modes_virtual_lcofi_can_go_on_to_vs_mode(self) -> None:
        bench = advanced(mode="VU")
        bench["mvien"] = bench["mvip"] = bits(LCOFI)
        bench["hideleg"] = bench["vsie"] = bits(LCOFI)
        assert bench["vsip"] == bench["sip"] == bits(LCOFI)
        trap = bench.trap()
        assert (trap.mode, trap.cause) == ("VS", LCOFI)


def guest(mode: str = "VS") -> Bench:
    """A guest with all interrupts on, delegated, and its file 1 open."""
    bench = advanced(mode=mode)
    bench["mideleg"] = bench["hideleg"] = bench["mie"] = U64
    bench["mie"] = bits(VSSI, VSTI, VSEI, LCOFI)
    bench["hstatus"] = 1 << 12
    open_file(bench, "vs")
    return bench


class TestVstopi:
    """The candidates and their order ("Virtual supervisor top interrupt CSR (vstopi)")."""

    def test_the_guests_file_gives_its_number(self) -> None:
        bench = guest()
        bench["hvictl"] = IPRIOM
        bench.hart.receive_msi(GUEST_1, 17)
        assert bench["vstopi"] == top(SEI, 17)
        bench["hvictl"] = 0
        assert bench["vstopi"] == top(SEI, 1), "IPRIOM=0: always 1"

    def test_hvip_alone_gives_256(self) -> None:
        bench = guest()
        bench["hvictl"], bench["hvip"] = IPRIOM, bits(VSEI)
        assert bench["vstopi"] == top(SEI, 255)

    def test_without_a_file_hvictl_gives_the_number(self) -> None:
        bench = guest()
        bench["hstatus"], bench["hvip"] = 0, bits(VSEI)
        bench["hvictl"] = IPRIOM | SEI << 16 | 33
        assert bench["vstopi"] == top(SEI, 33)
        bench["hvictl"] = IPRIOM | SEI << 16
        assert bench["vstopi"] == top(SEI, 255)

    def test_hviprio_orders_the_others(self) -> None:
        """Byte 1 of hviprio1 is SSI's, byte 3 STI's, byte 5 LCOFI's."""
        bench = guest()
        bench["hvictl"] = IPRIOM
        pending(bench, VSSI, VSTI)
        assert bench["vstopi"] == top(SSI, 255)
        bench["hviprio1"] = 20 << 8 | 10 << 24
        assert bench["vstopi"] == top(STI, 10)
        bench.hart.receive_msi(GUEST_1, 9)
        assert bench["vstopi"] == top(SEI, 9)

    def test_hviprio_holds_these_bytes(self) -> None:
        bench = guest()
        bench["hviprio1"] = bench["hviprio2"] = U64
        assert (bench["hviprio1"], bench["hviprio2"]) == (0xFFFF_FF00_FF00_FF00, U64)

    @pytest.mark.parametrize("irq", [14, 15, *range(16, 24)])
    def test_hviprio_has_the_local_interrupts_up_to_23(self, irq: int) -> None:
        bench = guest()
        bench["hvictl"] = IPRIOM
        bench["hvien"] = bench["hvip"] = bits(irq)
        bench["vsie"] = bits(irq)
        at = irq - 8 if irq < 16 else irq - 16
        bench["hviprio1" if irq < 16 else "hviprio2"] = 77 << 8 * at
        assert bench["vstopi"] == top(irq, 77)

    def test_with_vti_hvictl_takes_the_place_of_all_but_sei(self) -> None:
        bench = guest()
        pending(bench, VSSI)
        bench["hvictl"] = VTI | IPRIOM | 40 << 16 | 30
        assert bench["vstopi"] == top(40, 30)
        for identity, first in ((31, top(40, 30)), (29, top(SEI, 29))):
            bench.hart.receive_msi(GUEST_1, identity)
            assert bench["vstopi"] == first

    @pytest.mark.parametrize(("number", "dpr", "first"), [
        (30, 0, 40), (30, DPR, SEI), (0, 0, 40), (0, DPR, SEI),
    ])
    def test_dpr_decides_between_equals(self, number: int, dpr: int, first: int) -> None:
        bench = guest()
        bench.hart.receive_msi(GUEST_1, 30)
        bench["hvictl"] = VTI | 40 << 16 | dpr | number
        assert bench["vstopi"] >> 16 == first

    def test_iid_9_is_no_interrupt(self) -> None:
        bench = guest()
        pending(bench, VSSI)
        bench["hvictl"] = VTI | SEI << 16
        assert bench["vstopi"] == 0

    def test_what_vstopi_shows_traps(self) -> None:
        bench = guest("VU")
        bench["hvictl"] = VTI | 40 << 16
        trap = bench.trap()
        assert (trap.mode, trap.cause, bench["vscause"]) == ("VS", 40, causes.INTERRUPT_BIT | 40)

    def test_the_fields_of_hvictl(self) -> None:
        bench = guest()
        bench["hvictl"] = U64
        assert bench["hvictl"] == VTI | 63 << 16 | DPR | IPRIOM | 255
