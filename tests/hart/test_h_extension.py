"""The hypervisor extension, rule by rule: CSRs, delegation and interrupts, exceptions.

The rules come from the manual's hypervisor chapter; test_h_translation.py has those of its instructions, of two-stage
translation, and of what a hypervisor without the extension relies on.
"""

from __future__ import annotations

from itertools import pairwise, product

import pytest

from hartvisor.core.isa import csrs
from hartvisor.core.isa.assembler import assemble

from .bench import CODE, CSRS, DATA, U64, Bench
from .tables import ALL, R, U, V
from .two_stages import DATA_GVA, Guest

ILLEGAL, VIRTUAL = 2, 22
HS_CSRS = {
    "hstatus": 0x600, "hedeleg": 0x602, "hideleg": 0x603, "hie": 0x604, "htimedelta": 0x605, "hcounteren": 0x606,
    "hgeie": 0x607, "henvcfg": 0x60A, "htval": 0x643, "hip": 0x644, "hvip": 0x645, "htinst": 0x64A, "hgatp": 0x680,
    "hcontext": 0x6A8, "hgeip": 0xE12,
}  # fmt: skip
VS_CSRS = {
    "vsstatus": 0x200, "vsie": 0x204, "vstvec": 0x205, "vsscratch": 0x240, "vsepc": 0x241, "vscause": 0x242,
    "vstval": 0x243, "vsip": 0x244, "vsatp": 0x280,
}  # fmt: skip
SSAIA = (0x608, 0x609, 0x646, 0x647, 0x250, 0x251, 0x25C, 0xEB0)
VTVM, VTW, VTSR = 1 << 20, 1 << 21, 1 << 22
HU, SPVP, SPV, GVA = 1 << 9, 1 << 8, 1 << 7, 1 << 6


def cause_of(source: str, mode: str, **values: int) -> int:
    """Execute one instruction in the mode with these CSRs: the exception's cause, or 0."""
    bench = Bench(source, mode=mode)
    for name, value in values.items():
        bench[name] = value
    traps = bench.hart.guest_traps
    bench.hart.run(1)
    return bench["mcause"] if bench.hart.guest_traps > traps else 0


class TestCsrs:
    @pytest.mark.parametrize(("name", "num"), (HS_CSRS | VS_CSRS).items())
    def test_hs_mode_has_the_hypervisors_and_the_guests(self, name: str, num: int) -> None:
        assert csrs.BY_NAME[name].number == num
        assert cause_of(f"csrr x5, {num:#x}", "HS") == 0
        assert cause_of(f"csrr x5, {num:#x}", "U") == ILLEGAL
        assert cause_of(f"csrr x5, {num:#x}", "VS") == VIRTUAL

    @pytest.mark.parametrize("num", SSAIA)
    def test_those_of_ssaia_are_illegal(self, num: int) -> None:
        for mode in ("M", "HS", "VS"):
            assert cause_of(f"csrr x5, {num:#x}", mode) == ILLEGAL

    def test_m_mode_has_mtinst_and_mtval2_and_the_status_bits(self) -> None:
        bench = Bench()
        bench["mtinst"], bench["mtval2"], bench["mstatus"] = 5, 7, 3 << 38
        assert (bench["mtinst"], bench["mtval2"], bench["mstatus"] >> 38 & 3) == (5, 7, 3)

    @pytest.mark.parametrize("name", ["senvcfg", "scounteren", "scontext"])
    def test_what_has_no_vs_copy_is_shared(self, name: str) -> None:
        bench = Bench(f"csrw {name}, x5", mode="VS")
        bench.set(x5=1)
        bench.hart.run(1)
        assert bench[name] == 1

    @pytest.mark.parametrize(
        "name", [csr.name for csr in CSRS if csr.vs_twin and csr.name not in ("sie", "sip", "stimecmp")])
    def test_what_has_a_vs_copy_is_not(self, name: str) -> None:
        bench = Bench(f"csrw {name}, x5\ncsrr x7, {name}", mode="VS")
        for gates, value in (("menvcfg", 1 << 63), ("henvcfg", 1 << 63), ("mcounteren", 2), ("hcounteren", 2)):
            bench[gates] = value  # stimecmp's
        host = bench[name]
        bench.set(x5=1 << 18 if name == "sstatus" else 4)
        bench.hart.run(2)
        assert bench[name] == host
        assert bench[csrs.BY_NAME[name].vs_twin] == bench.x(7) != host

    def test_hstatus_has_these_fields(self) -> None:
        """VSBE, VGEIN and HUPMM read as zero, VSXL as 2."""
        bench = Bench()
        bench["hstatus"] = U64
        assert bench["hstatus"] == 2 << 32 | VTSR | VTW | VTVM | HU | SPVP | SPV | GVA

    @pytest.mark.parametrize(("mode", "before"), list(product(("U", "HS", "VU", "VS"), (0, SPVP))))
    def test_spvp_is_written_only_by_traps_from_a_guest(self, mode: str, before: int) -> None:
        bench = Bench("ecall", mode=mode)
        bench.delegate_all()
        bench["hstatus"] = before
        bench.trap()
        written = {"VU": 0, "VS": SPVP}.get(mode, before)
        assert bench["hstatus"] & SPVP == written
        assert bench["hstatus"] & SPV == (SPV if mode in ("VU", "VS") else 0)

    def test_a_faulting_hlv_gives_gva_without_spv(self) -> None:
        for source in ("hlv.d x5, (x6)", "hsv.b x5, (x6)", "hlvx.wu x5, (x6)"):
            bench = Bench(source, mode="HS")
            bench.delegate_all()
            bench["hgatp"] = 8 << 60 | DATA >> 12
            bench["hstatus"] = SPV
            assert bench.trap().mode == "HS"
            assert bench["hstatus"] & (SPV | GVA) == GVA

    def test_hgatp_keeps_its_mode_where_satp_at_v1_ignores_the_write(self) -> None:
        bench = Bench("csrw satp, x5", mode="VS")
        bench["hgatp"] = 8 << 60 | 4
        bench["hgatp"] = 5 << 60 | 0xB
        assert bench["hgatp"] == 8 << 60 | 8, "and a 16 KiB root"
        bench["hgatp"] = 0
        bench.set(x5=5 << 60 | 0xB)
        bench["vsatp"] = 7
        bench.hart.run(1)
        assert bench["vsatp"] == 7


class TestDelegationAndInterrupts:
    def test_hedeleg_read_only_zero_bits(self) -> None:
        bench = Bench()
        bench["hedeleg"] = U64
        for bit in (9, 10, 11, 16, 20, 21, 22, 23):
            assert bench["hedeleg"] >> bit & 1 == 0
        for bit in (1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 15, 18, 19):
            assert bench["hedeleg"] >> bit & 1 == 1

    def test_hideleg_and_mideleg(self) -> None:
        bench = Bench()
        bench["hideleg"], bench["mideleg"] = U64, 0
        assert (bench["hideleg"] & 0x1FFF, bench["mideleg"] & 0x1FFF) == (0x444, 0x444)

    @pytest.mark.parametrize("irq", [2, 6, 10])
    def test_vs_level_interrupts_arrive_in_vs_mode_under_the_supervisors_numbers(self, irq: int) -> None:
        bench = Bench("nop", mode="VU")
        bench["hideleg"], bench["mie"], bench["hvip"] = U64, U64, 1 << irq
        trap = bench.trap()
        assert (trap.mode, trap.cause, trap.is_interrupt) == ("VS", irq - 1, True)

    @pytest.mark.parametrize("irq", [2, 6, 10])
    def test_not_delegated_they_arrive_in_hs_mode_under_their_own(self, irq: int) -> None:
        bench = Bench("nop", mode="VS")
        bench["mie"], bench["hvip"] = U64, 1 << irq
        bench["htinst"] = bench["htval"] = 5
        trap = bench.trap()
        assert (trap.mode, trap.cause, trap.is_interrupt) == ("HS", irq, True)
        assert bench["htinst"] == bench["htval"] == 0

    @pytest.mark.parametrize(("first", "second"), list(pairwise((9, 1, 5, 10, 2, 6))))
    def test_priority_at_hs(self, first: int, second: int) -> None:
        """SEI, SSI, STI, SGEI (which never is here), VSEI, VSSI, VSTI."""
        bench = Bench("nop", mode="U")
        bench["mideleg"] = bench["mie"] = U64
        bench["mip"] = bench["hvip"] = 1 << first | 1 << second
        assert bench.trap().cause == first

    def test_hvip_hip_and_vsip_alias(self) -> None:
        """hip.VSSIP is hvip's; vsip shows what hideleg lets through, one down; only SSIP is writable there."""
        bench = Bench()
        bench["hvip"] = U64
        assert (bench["hvip"], bench["hip"], bench["vsip"], bench["mip"] & 0x444) == (0x444, 0x444, 0, 0x444)
        bench["hideleg"] = U64
        assert bench["vsip"] == 0x222
        bench["vsip"] = 0
        assert (bench["vsip"], bench["hvip"]) == (0x220, 0x440)
        bench["hip"] = 4
        assert bench["hvip"] == 0x444, "VSSIP is the one bit of hip to write"
        bench["hip"] = 0
        assert bench["hvip"] == 0x440

    def test_hie_and_vsie_alias_mie(self) -> None:
        bench = Bench()
        bench["hie"] = U64
        assert bench["mie"] == bench["hie"] == 0x444
        assert bench["vsie"] == 0, "hideleg"
        bench["hideleg"] = U64
        assert bench["vsie"] == 0x222
        bench["vsie"] = 0x20
        assert bench["mie"] == 0x40

    def test_sip_and_sie_do_not_show_vs_level_interrupts(self) -> None:
        bench = Bench()
        bench["hvip"] = bench["hie"] = U64
        assert (bench["sip"], bench["sie"]) == (0, 0)


VIRTUAL_CASES = [
    ("counter, hcounteren=0", "rdcycle x5", "VS", {"mcounteren": 7, "scounteren": 7}),
    ("counter, hcounteren=0, in VU", "rdtime x5", "VU", {"mcounteren": 7, "scounteren": 7}),
    ("counter, scounteren=0, in VU", "rdinstret x5", "VU", {"mcounteren": 7, "hcounteren": 7}),
    *((f"{name.split()[0]} in {mode}", name, mode, {}) for mode in ("VS", "VU") for name in
      ("hlv.w x5, (x6)", "hlvx.hu x5, (x6)", "hsv.d x5, (x6)", "hfence.vvma", "hfence.gvma")),
    *((f"{name} in {mode}", f"csrr x5, {name}", mode, {"mstatus": 1 << 20}) for mode in ("VS", "VU")
      for name in ("hstatus", "hgatp", "vsatp", "vsstatus", "hgeip")),
    ("wfi in VU", "wfi", "VU", {}),
    ("sret in VU", "sret", "VU", {}),
    ("sfence.vma in VU", "sfence.vma", "VU", {}),
    ("supervisor CSR in VU", "csrr x5, sscratch", "VU", {}),
    ("satp in VU, whatever TVM", "csrw satp, x5", "VU", {"mstatus": 1 << 20}),
    ("wfi in VS, VTW", "wfi", "VS", {"hstatus": VTW}),
    ("sret in VS, VTSR", "sret", "VS", {"hstatus": VTSR}),
    ("sfence.vma in VS, VTVM", "sfence.vma", "VS", {"hstatus": VTVM}),
    ("read satp in VS, VTVM", "csrr x5, satp", "VS", {"hstatus": VTVM}),
    ("write satp in VS, VTVM", "csrw satp, x5", "VS", {"hstatus": VTVM}),
]
ILLEGAL_CASES = [
    ("counter, mcounteren=0", "rdcycle x5", "VS", {"hcounteren": 7, "scounteren": 7}),
    ("counter, mcounteren=0, in VU", "rdcycle x5", "VU", {"hcounteren": 7, "scounteren": 7}),
    ("writing a counter", "csrw cycle, x5", "VS", {}),
    ("writing hgeip, which HS-mode could not", "csrw hgeip, x5", "VS", {}),
    ("wfi in VS, TW", "wfi", "VS", {"mstatus": 1 << 21, "hstatus": VTW}),
    ("wfi in VU, TW", "wfi", "VU", {"mstatus": 1 << 21}),
    ("mret in VS", "mret", "VS", {}),
    ("machine CSR in VS", "csrr x5, mscratch", "VS", {}),
    ("no such CSR", "csrr x5, 0x5ff", "VS", {}),
    ("high half", "csrr x5, 0xc80", "VS", {"mcounteren": 7}),
    ("high half of htimedelta", "csrr x5, 0x615", "VS", {}),
    ("hlv in U, HU=0", "hlv.w x5, (x6)", "U", {}),
    ("hfence.vvma in U", "hfence.vvma", "U", {"hstatus": HU}),
    ("hypervisor CSR in U", "csrr x5, hstatus", "U", {"hstatus": HU}),
    ("hgatp in HS, TVM", "csrr x5, hgatp", "HS", {"mstatus": 1 << 20}),
    ("hfence.gvma in HS, TVM", "hfence.gvma", "HS", {"mstatus": 1 << 20}),
]
FREE_CASES = [
    ("TVM is not for VS: satp", "csrr x5, satp", "VS", {"mstatus": 1 << 20}),
    ("TVM is not for VS: sfence.vma", "sfence.vma", "VS", {"mstatus": 1 << 20}),
    ("TSR is not for VS: sret", "sret", "VS", {"mstatus": 1 << 22}),
    ("TVM is not for hfence.vvma", "hfence.vvma", "HS", {"mstatus": 1 << 20}),
    ("TVM is not for vsatp", "csrr x5, vsatp", "HS", {"mstatus": 1 << 20}),
    ("VTVM is not for HS", "sfence.vma", "HS", {"hstatus": VTVM}),
    ("VTSR is not for HS", "sret", "HS", {"hstatus": VTSR}),
]


class TestExceptions:
    def test_ecalls_have_causes_by_mode(self) -> None:
        assert [cause_of("ecall", mode) for mode in ("U", "HS", "VS", "M", "VU")] == [8, 9, 10, 11, 8]

    @pytest.mark.parametrize(("source", "cause"), [("jr x6", 20), ("lw x5, (x6)", 21), ("sw x5, (x6)", 23)])
    def test_guest_page_faults(self, source: str, cause: int) -> None:
        guest = Guest(source)
        guest.host.map(DATA_GVA, DATA, 0)
        if cause == 20:
            guest.bench.hart.run(1)
        trap = guest.bench.trap()
        assert (trap.mode, trap.cause, trap.tval, guest.bench["htval"]) == ("HS", cause, DATA_GVA, DATA_GVA >> 2)

    @pytest.mark.parametrize(("source", "mode", "values"), [case[1:] for case in VIRTUAL_CASES],
                             ids=[case[0] for case in VIRTUAL_CASES])
    def test_virtual_instruction(self, source: str, mode: str, values: dict[str, int]) -> None:
        assert cause_of(source, mode, **values) == VIRTUAL

    @pytest.mark.parametrize(("source", "mode", "values"), [case[1:] for case in ILLEGAL_CASES],
                             ids=[case[0] for case in ILLEGAL_CASES])
    def test_illegal_instruction(self, source: str, mode: str, values: dict[str, int]) -> None:
        assert cause_of(source, mode, **values) == ILLEGAL

    @pytest.mark.parametrize(("source", "mode", "values"), [case[1:] for case in FREE_CASES],
                             ids=[case[0] for case in FREE_CASES])
    def test_no_exception(self, source: str, mode: str, values: dict[str, int]) -> None:
        assert cause_of(source, mode, **values) == 0

    @pytest.mark.parametrize("source", ["fadd.d f0, f1, f2", "fld f0, 0(x6)", "csrr x5, fcsr", ".word 0x00007057"])
    @pytest.mark.parametrize("mode", ["VS", "VU"])
    @pytest.mark.parametrize(("mstatus", "vsstatus"), [(0, 0), (3 << 13, 0), (0, 3 << 13)])
    def test_a_unit_that_is_off_is_illegal_never_virtual(
        self, source: str, mode: str, mstatus: int, vsstatus: int
    ) -> None:
        """FS off at either level; the vector unit (vsetvli), which is not there."""
        assert cause_of(source, mode, mstatus=mstatus, vsstatus=vsstatus) == ILLEGAL

    def test_a_virtual_instructions_tval_is_its_bits(self) -> None:
        bench = Bench("hfence.vvma", mode="VS")
        assert bench.trap().tval == int.from_bytes(assemble("hfence.vvma").code, "little")

    def test_mtval2_and_mtinst_are_m_modes(self) -> None:
        guest = Guest("ld x5, 8(x6)")
        guest.bench["medeleg"] = 0
        guest.host.map(DATA_GVA, DATA, R | V)
        trap = guest.bench.trap()
        assert (trap.mode, trap.cause, guest.bench["mtval2"], guest.bench["mtinst"]) == (
            "M", 21, DATA_GVA + 8 >> 2, 0x00003283)
        assert guest.bench["mstatus"] >> 38 & 3 == 3, "MPV and GVA"

    @pytest.mark.parametrize(("source", "tinst"), [
        ("lw x5, 4(x6)", 0x00002283), ("sh x5, 4(x6)", 0x00501023), ("amoor.d x5, x7, (x6)", 0x407032AF),
        ("c.ld x9, 8(x8)", 0x00003481), ("c.sw x9, 4(x8)", 0x00902021)])
    def test_the_transformed_instruction(self, source: str, tinst: int) -> None:
        """Offsets zeroed, rs1 the distance of the faulting address from the access's, bit 1 clear if compressed."""
        guest = Guest(source)
        guest.host.map(DATA_GVA, DATA, 0)
        guest.bench.trap()
        assert guest.bench["htinst"] == tinst

    def test_a_straddling_access_has_its_distance_in_rs1(self) -> None:
        guest = Guest("ld x5, -3(x6)")
        guest.bench.set(x6=DATA_GVA + 0x1000)
        guest.own.map(DATA_GVA + 0x1000, 0x3000, ALL)
        guest.host.map(0x3000, DATA, 0)
        trap = guest.bench.trap()
        assert (trap.tval, guest.bench["htval"], guest.bench["htinst"]) == (0x3000, 0x3000 >> 2, 3 << 15 | 0x3283)

    @pytest.mark.parametrize(("source", "cause"), [("jr x6", 20), ("lw x5, (x6)", 21), ("sw x5, (x6)", 23)])
    def test_an_implicit_read_leaves_the_pseudo_instruction(self, source: str, cause: int) -> None:
        """Mandatory, since htval is not zero: 0x3000, a 64-bit read; the cause is that of the original access."""
        guest = Guest(source)
        table = guest.own.entry(0x4000_0000) - guest.own.offset
        guest.host.map(table & ~0xFFF, DATA, U | V)
        guest.bench.set(x6=0x4000_0000)
        if cause == 20:
            guest.bench.hart.run(1)
        trap = guest.bench.trap()
        assert (trap.cause, trap.tval, guest.bench["htval"]) == (cause, 0x4000_0000, table >> 2)
        assert guest.bench["htinst"] == 0x3000

    def test_a_fetch_that_faults_leaves_no_instruction(self) -> None:
        guest = Guest("jr x6")
        guest.host.map(DATA_GVA, DATA, R | U | V)
        guest.bench.hart.run(1)
        guest.bench.trap()
        assert guest.bench["htinst"] == 0

    def test_it_is_zero_for_other_exceptions(self) -> None:
        for source in ("ecall", "ebreak", ".word 0", "hfence.vvma"):
            guest = Guest(source)
            guest.bench["htinst"] = guest.bench["htval"] = 5
            guest.bench.trap()
            assert (guest.bench["htinst"], guest.bench["htval"]) == (0, 0)

    def test_without_the_extension_code_runs_as_before(self) -> None:
        bench = Bench("hfence.vvma", mode="HS", has_h=False)
        assert (bench.trap().cause, bench.hart.pc != CODE) == (ILLEGAL, True)
