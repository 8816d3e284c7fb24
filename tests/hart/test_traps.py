"""Trap entry and return between every pair of modes, and delegation (privileged manual: "Traps" of each chapter)."""

from __future__ import annotations

import pytest

from hartvisor.core.hart import EXIT_TRAP, HOST_HS, HOST_M
from hartvisor.core.isa import causes

from .bench import CODE, CSRS, DATA, M_VECTOR, MODES, S_VECTOR, U64, VS_VECTOR, Bench, writable

SIE, MIE, SPIE, MPIE, SPP, MPRV = 1 << 1, 1 << 3, 1 << 5, 1 << 7, 1 << 8, 1 << 17
MPP_SHIFT = 11
GVA, MPV = 1 << 38, 1 << 39
H_GVA, SPV, SPVP = 1 << 6, 1 << 7, 1 << 8
ECALL = {"U": 8, "HS": 9, "VS": 10, "M": 11, "VU": 8}
VECTORS = {"M": M_VECTOR, "HS": S_VECTOR, "VS": VS_VECTOR}


def deliver(source: str, mode: str, target: str) -> Bench:
    """A bench in `mode` whose exceptions go to `target`."""
    bench = Bench(source, mode=mode)
    if target != "M":
        bench.delegate_all(to_vs=target == "VS")
    return bench


@pytest.mark.parametrize("mode", MODES)
def test_ecall_and_its_cause(mode: str) -> None:
    trap = deliver("ecall", mode, "M").trap()
    assert (trap.mode, trap.cause, trap.tval, trap.epc) == ("M", ECALL[mode], 0, CODE)


@pytest.mark.parametrize("target", ["M", "HS", "VS"])
@pytest.mark.parametrize("mode", MODES)
def test_ebreak_goes_where_it_is_delegated(mode: str, target: str) -> None:
    bench = deliver("nop\nebreak", mode, target)
    bench.hart.run(1)
    trap = bench.trap()
    goes = target if mode in ("VS", "VU") else "M" if mode == "M" else ("HS" if target == "VS" else target)
    assert (trap.mode if mode != "M" else "M", trap.cause, trap.tval, trap.epc) == (
        goes if mode != "M" else "M",
        causes.BREAKPOINT,
        CODE + 4,
        CODE + 4,
    )
    assert bench.hart.pc == VECTORS[trap.mode]
    guest = mode in ("VS", "VU")
    if trap.mode == "M":
        assert bench["mstatus"] & (GVA | MPV) == (GVA | MPV if guest else 0)
        assert bench["mstatus"] >> MPP_SHIFT & 3 == MODES[mode][0]
    elif trap.mode == "HS":
        assert bench["hstatus"] & (H_GVA | SPV) == (H_GVA | SPV if guest else 0)
        assert bool(bench["mstatus"] & SPP) == (MODES[mode][0] == 1)


@pytest.mark.parametrize("enabled", [0, 1])
def test_entry_to_m_mode_stacks_its_interrupt_enable(enabled: int) -> None:
    bench = Bench("ecall", mode="HS")
    bench["mstatus"] = MIE * enabled | SIE
    bench.trap()
    assert bench["mstatus"] & (MIE | MPIE | SIE | SPIE) == MPIE * enabled | SIE


@pytest.mark.parametrize("enabled", [0, 1])
def test_entry_to_s_mode_stacks_its_interrupt_enable(enabled: int) -> None:
    bench = deliver("ecall", "U", "HS")
    bench["mstatus"] = SIE * enabled | MIE
    bench.trap()
    assert bench["mstatus"] & (MIE | MPIE | SIE | SPIE) == SPIE * enabled | MIE


@pytest.mark.parametrize("enabled", [0, 1])
@pytest.mark.parametrize("mode", ["VS", "VU"])
def test_entry_to_vs_mode_changes_vsstatus_alone(mode: str, enabled: int) -> None:
    bench = deliver("ebreak", mode, "VS")
    bench["vsstatus"] = SIE * enabled
    bench["hstatus"] |= SPVP | SPV
    before = bench["mstatus"], bench["hstatus"]
    trap = bench.trap()
    assert trap.mode == "VS"
    assert bench["vsstatus"] & (SIE | SPIE | SPP) == SPIE * enabled | SPP * (mode == "VS")
    assert (bench["mstatus"], bench["hstatus"]) == before


@pytest.mark.parametrize("spvp", [0, 1])
def test_spvp_is_written_only_by_traps_from_a_guest(spvp: int) -> None:
    bench = deliver("ecall", "U", "HS")
    bench["hstatus"] = SPVP * spvp | SPV | H_GVA
    bench.trap()
    assert bench["hstatus"] & (SPVP | SPV | H_GVA) == SPVP * spvp
    for mode in ("VS", "VU"):
        bench = deliver("ebreak", mode, "HS")
        bench["hstatus"] = SPVP * spvp
        bench.trap()
        assert bench["hstatus"] & (SPVP | SPV) == SPV | SPVP * (mode == "VS")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("mpie", [0, 1])
def test_mret_goes_to_each_mode(mode: str, mpie: int) -> None:
    """MPP=3 ignores MPV; MPRV is cleared on the way to a mode below M."""
    privilege, virtual = MODES[mode]
    bench = Bench("mret")
    bench["mepc"] = DATA + 2
    bench["mstatus"] = privilege << MPP_SHIFT | virtual * MPV | mpie * MPIE | MPRV | (1 - mpie) * MIE
    bench.hart.run(1)
    assert (bench.mode, bench.hart.pc) == (mode, DATA + 2)
    assert bench["mstatus"] & (MIE | MPIE | 3 << MPP_SHIFT | MPV) == MIE * mpie | MPIE
    assert bool(bench["mstatus"] & MPRV) == (mode == "M")


def test_mret_to_m_mode_stays_out_of_the_guest() -> None:
    bench = Bench("mret")
    bench["mstatus"] = 3 << MPP_SHIFT | MPV
    bench.hart.run(1)
    assert bench.mode == "M"
    assert bench["mstatus"] & MPV == 0


@pytest.mark.parametrize("origin", ["M", "HS"])
@pytest.mark.parametrize("mode", ["HS", "U", "VS", "VU"])
def test_sret_goes_to_each_mode_by_spp_and_spv(mode: str, origin: str) -> None:
    privilege, virtual = MODES[mode]
    bench = Bench("sret", mode=origin)
    bench["sepc"] = DATA + 6
    bench["mstatus"] = SPP * privilege | SPIE | MPRV
    bench["hstatus"] = SPV * virtual | SPVP
    bench.hart.run(1)
    assert (bench.mode, bench.hart.pc) == (mode, DATA + 6)
    assert bench["mstatus"] & (SIE | SPIE | SPP | MPRV) == SIE | SPIE
    assert bench["hstatus"] & (SPV | SPVP) == SPVP


@pytest.mark.parametrize("spp", [0, 1])
def test_sret_in_vs_mode_uses_vsstatus_alone(spp: int) -> None:
    bench = Bench("sret", mode="VS")
    bench["vsepc"], bench["sepc"] = DATA, CODE
    bench["vsstatus"] = SPP * spp | SIE
    before = bench["mstatus"], bench["hstatus"]
    bench.hart.run(1)
    assert (bench.mode, bench.hart.pc) == (("VU", "VS")[spp], DATA)
    assert bench["vsstatus"] & (SIE | SPIE | SPP) == SPIE
    assert (bench["mstatus"], bench["hstatus"]) == before


TSR, TVM, TW = 1 << 22, 1 << 20, 1 << 21
RETURNS_AND_FENCES = [
    # instruction, mode, mstatus, hstatus, exception (0: none); privileged manual, and H, "Trap Cause Codes"
    *(("mret", mode, 0, 0, 2) for mode in ("HS", "U", "VS", "VU")),
    ("sret", "U", 0, 0, 2),
    ("sret", "VU", 0, 0, 22),
    ("sret", "HS", TSR, 0, 2),
    ("sret", "M", TSR, TSR, 0),
    ("sret", "VS", 0, TSR, 22),
    ("sret", "VS", TSR, 0, 0),
    ("sret", "HS", 0, TSR, 0),
    ("sret", "VU", TSR, TSR, 22),
    *(
        ("sfence.vma", mode, status, hstatus, cause)
        for mode, status, hstatus, cause in (
            ("M", TVM, TVM, 0),
            ("HS", 0, TVM, 0),
            ("HS", TVM, 0, 2),
            ("U", 0, 0, 2),
            ("VS", TVM, 0, 0),
            ("VS", 0, TVM, 22),
            ("VU", 0, 0, 22),
            ("VU", TVM, 0, 22),
        )
    ),
    *(("hfence.vvma", mode, TVM, 0, cause) for mode, cause in (("M", 0), ("HS", 0), ("U", 2), ("VS", 22), ("VU", 22))),
    *(("hfence.gvma", mode, 0, 0, cause) for mode, cause in (("M", 0), ("HS", 0), ("U", 2), ("VS", 22), ("VU", 22))),
    ("hfence.gvma", "HS", TVM, 0, 2),
    ("hfence.gvma", "M", TVM, 0, 0),
    *(
        (insn, mode, 0, hu, cause)
        for insn in ("hlv.b x5, (x6)", "hlvx.hu x5, (x6)", "hsv.d x5, (x6)")
        for mode, hu, cause in (
            ("M", 0, 0),
            ("HS", 0, 0),
            ("U", 0, 2),
            ("U", 1 << 9, 0),
            ("VS", 1 << 9, 22),
            ("VU", 1 << 9, 22),
        )
    ),
    # WFI: in U-mode always a trap.
    *(
        ("wfi", mode, status, hstatus, cause)
        for mode, status, hstatus, cause in (
            ("M", TW, TW, 0),
            ("HS", 0, TW, 0),
            ("HS", TW, 0, 2),
            ("U", 0, 0, 2),
            ("U", TW, 0, 2),
            ("VS", 0, 0, 0),
            ("VS", 0, TW, 22),
            ("VS", TW, TW, 2),
            ("VS", TW, 0, 2),
            ("VU", 0, 0, 22),
            ("VU", 0, TW, 22),
            ("VU", TW, 0, 2),
        )
    ),
    *(("fence.i", mode, 0, 0, 0) for mode in MODES),
    *(("fence", mode, 0, 0, 0) for mode in MODES),
]


@pytest.mark.parametrize(("source", "mode", "mstatus", "hstatus", "cause"), RETURNS_AND_FENCES)
def test_privileged_instructions_trap_by_the_manuals_table(
    source: str, mode: str, mstatus: int, hstatus: int, cause: int
) -> None:
    bench = Bench(source, mode=mode)
    bench["mstatus"], bench["hstatus"] = mstatus, hstatus
    bench["sepc"] = bench["vsepc"] = bench["mepc"] = CODE
    bench.set(x6=DATA)
    if cause:
        trap = bench.trap()
        assert (trap.cause, trap.tval) == (cause, bench.memory.load(CODE, 4))
        assert bench["mstatus"] & GVA == 0
    else:
        bench.hart.run(1)
        assert bench.hart.guest_traps == 0


@pytest.mark.parametrize(
    "source", ["hlv.w x5, (x6)", "hsv.w x5, (x6)", "hfence.vvma", "hfence.gvma", "hlvx.wu x5, (x6)"]
)
@pytest.mark.parametrize("mode", ["M", "HS", "U"])
def test_without_the_hypervisor_extension_its_instructions_are_illegal(source: str, mode: str) -> None:
    assert Bench(source, mode=mode, has_h=False).trap().cause == causes.ILLEGAL_INSTRUCTION


@pytest.mark.parametrize(
    ("bits", "length"),
    [(0x0000, 2), (0x2000, 2), (0x9C79, 2), (0xFFFFFFFF, 4), (0x0000007B, 4), (0x120000F3, 4), (0x1030202F, 4)],
)
def test_an_illegal_instruction_leaves_its_bits(bits: int, length: int) -> None:
    bench = Bench("nop")
    bench.memory.store(CODE + 2, length, bits)
    bench.memory.store(CODE, 2, 0x0001)
    bench.hart.run(1)
    trap = bench.trap()
    assert (trap.cause, trap.tval, trap.epc) == (causes.ILLEGAL_INSTRUCTION, bits, CODE + 2)


class TestDelegation:
    def test_writable_bits(self) -> None:
        bench = Bench()
        bench.delegate_all(to_vs=True)
        assert bench["medeleg"] == 0xFCB7FF & ~(1 << 14), "all causes but an ecall from M-mode"
        assert bench["hedeleg"] == bench["medeleg"] & ~(1 << 9 | 1 << 10 | 0xF << 20), "H: hedeleg's table"
        assert bench["mideleg"] == 0x2666, "VS-level bits are read-only one"
        assert bench["hideleg"] == 0x2444
        bench["mideleg"] = 0
        assert bench["mideleg"] == 0x444

    def test_without_h(self) -> None:
        bench = Bench(has_h=False)
        bench.delegate_all()
        assert bench["medeleg"] == 0xCB3FF
        assert bench["mideleg"] == 0x2222
        bench["mideleg"] = 0
        assert bench["mideleg"] == 0

    @pytest.mark.parametrize(
        "cause", [cause.number for cause in causes.EXCEPTIONS if cause.number in (2, 3, 8, 9, 10, 22)]
    )
    def test_each_bit_sends_its_own_cause(self, cause: int) -> None:
        source, mode = {
            2: (".word 0", "U"),
            3: ("ebreak", "U"),
            8: ("ecall", "U"),
            9: ("ecall", "HS"),
            10: ("ecall", "VS"),
            22: ("hfence.vvma", "VS"),
        }[cause]
        for delegated in (0, 1):
            bench = Bench(source, mode=mode)
            bench["medeleg"] = 1 << cause if delegated else ~(1 << cause) & U64
            trap = bench.trap()
            assert (trap.mode, trap.cause) == ("HS" if delegated else "M", cause)

    def test_m_mode_delegates_nothing_of_its_own(self) -> None:
        bench = deliver("ebreak", "M", "HS")
        assert bench.trap().mode == "M"


class TestHostedModes:
    """A mode that Python plays: its traps are exits, with the CSRs written and nothing else moved."""

    def test_m_mode(self) -> None:
        bench = Bench("nop\necall", mode="HS", hosts=HOST_M)
        seen = bench.hart.run(10)
        assert (seen.reason, seen.cause, seen.is_interrupt, seen.pc, seen.insn, seen.steps, seen.target) == (
            EXIT_TRAP,
            9,
            False,
            CODE + 4,
            0x73,
            1,
            3,
        )
        assert (bench.mode, bench.hart.pc, bench.hart.steps, bench.hart.guest_traps) == ("HS", CODE + 4, 1, 0)
        assert (bench["mepc"], bench["mcause"], bench["mtval"]) == (CODE + 4, 9, 0)

    def test_hs_mode(self) -> None:
        bench = Bench("ecall", mode="VU", hosts=HOST_HS)
        bench.delegate_all()
        seen = bench.hart.run(10)
        assert (seen.reason, seen.cause, seen.target, bench.mode) == (EXIT_TRAP, 8, 1, "VU")
        assert (bench["sepc"], bench["scause"]) == (CODE, 8)
        assert bench["hstatus"] & (SPV | SPVP | H_GVA) == SPV

    def test_vs_mode_is_never_hosted(self) -> None:
        bench = Bench("ebreak", mode="VU", hosts=HOST_HS | HOST_M)
        bench.delegate_all(to_vs=True)
        assert bench.trap().mode == "VS"

    def test_an_interrupt_left_pending_comes_again_before_any_step(self) -> None:
        bench = Bench("nop\n" * 8, mode="U", hosts=HOST_HS)
        bench.delegate_all()
        bench["mie"] = 1 << causes.SEI
        bench.hart.set_irq(causes.SEI, True)
        for _ in range(3):
            seen = bench.hart.run(3)
            assert (seen.reason, seen.is_interrupt, seen.cause, seen.steps, seen.insn) == (
                EXIT_TRAP,
                True,
                causes.SEI,
                0,
                0,
            )


class TestWarl:
    """What CSRs keep of what is written."""

    def test_every_csr_keeps_just_its_writable_bits(self) -> None:
        skipped = {
            "satp",
            "vsatp",
            "hgatp",
            "mstatus",
            "sstatus",
            "vsstatus",
            "mip",
            "sip",
            "hip",
            "vsip",
            "sie",
            "vsie",
            "mcycle",
            "minstret",
            "mcountinhibit",
            "mseccfg",
            "menvcfg",
            "henvcfg",
            "tdata1",
            "tdata3",
        }
        for csr in CSRS:
            if csr.name in skipped or csr.name.startswith("pmp") or csr.number >> 10 == 3:
                continue
            bench = Bench()
            before = bench[csr.name]
            bench[csr.name] = U64
            assert bench[csr.name] == before | writable(csr.name), csr.name
            bench[csr.name] = 0
            assert bench[csr.name] == before & ~writable(csr.name), csr.name

    def test_the_status_registers(self) -> None:
        """No VS or XS; UXL, SXL and VSXL are 2; SD is set because FS is dirty."""
        bench = Bench()
        bench["mstatus"] = U64
        assert bench["mstatus"] == 0x8000_00CA_007E_79AA
        assert bench["sstatus"] == 0x8000_0002_000C_6122
        bench["vsstatus"] = U64
        assert bench["vsstatus"] == 0x8000_0002_000C_6122
        bench["hstatus"] = U64
        assert bench["hstatus"] == 0x2_0070_03C0
        bench = Bench(has_h=False)
        bench["mstatus"] = U64
        assert bench["mstatus"] == 0x8000_000A_007E_79AA

    def test_mpp_keeps_a_mode_that_exists(self) -> None:
        bench = Bench()
        for value, kept in ((0, 0), (1, 1), (2, 1), (3, 3), (2, 3)):
            bench["mstatus"] = value << MPP_SHIFT
            assert bench["mstatus"] >> MPP_SHIFT & 3 == kept

    @pytest.mark.parametrize("mode", range(16))
    def test_satp_ignores_a_write_of_another_mode_as_a_whole(self, mode: int) -> None:
        bench = Bench()
        bench["satp"] = 8 << 60 | 0x1234 << 44 | 0xABC
        bench["satp"] = mode << 60 | 0x4321 << 44 | 0xDEF
        assert bench["satp"] == (
            mode << 60 | 0x4321 << 44 | 0xDEF if mode in (0, 8, 9, 10) else 8 << 60 | 0x1234 << 44 | 0xABC
        )

    @pytest.mark.parametrize("mode", range(16))
    def test_so_does_vsatp_written_by_the_guest(self, mode: int) -> None:
        bench = Bench("csrw satp, x5", mode="VS")
        bench.set(x5=mode << 60 | 7)
        bench["vsatp"] = 5
        bench.hart.run(1)
        assert bench["vsatp"] == (mode << 60 | 7 if mode in (0, 8, 9, 10) else 5)

    def test_hgatp_is_legalized_field_by_field(self) -> None:
        """The root is 16 KiB aligned: PPN[1:0] read as zero."""
        bench = Bench()
        bench["hgatp"] = 8 << 60 | 0x3FFF << 44 | (1 << 44) - 1
        assert bench["hgatp"] == 8 << 60 | 0x3FFF << 44 | (1 << 44) - 4
        bench["hgatp"] = 11 << 60 | 4
        assert bench["hgatp"] == 8 << 60 | 4

    def test_epc_has_no_odd_addresses_and_tvec_no_reserved_modes(self) -> None:
        bench = Bench()
        for name in ("mepc", "sepc", "vsepc"):
            bench[name] = U64
            assert bench[name] == U64 - 1
        for name in ("mtvec", "stvec", "vstvec"):
            bench[name] = U64
            assert bench[name] == U64 - 2
