"""The hypervisor extension, rule by rule: its instructions, two-stage translation, what U-mode leaves to emulate."""

from __future__ import annotations

from itertools import product

import pytest

from hartvisor.core.isa.assembler import assemble

from .bench import CODE, DATA, RAM, U64, Bench
from .tables import ALL, A, D, R, Tables, U, V, W, X
from .two_stages import CODE_GVA, DATA_GVA, OFFSET, Guest
from .walker import FETCH, LOAD, STORE

MXR, SUM = 1 << 19, 1 << 18
SPVP, HU = 1 << 8, 1 << 9
LOADS = {"hlv.b": (1, True), "hlv.bu": (1, False), "hlv.h": (2, True), "hlv.hu": (2, False), "hlv.w": (4, True),
         "hlv.wu": (4, False), "hlv.d": (8, False), "hlvx.hu": (2, False), "hlvx.wu": (4, False)}
STORES = {"hsv.b": 1, "hsv.h": 2, "hsv.w": 4, "hsv.d": 8}
VALUE = 0x8182_8384_8586_8788


def host(source: str, flags: int, g_flags: int = ALL | U, *, mode: str = "HS", hstatus: int = SPVP) -> Bench:
    """A hypervisor at `source` in HS- or U-mode, untranslated itself, whose guest has a page with these flags in x6."""
    guest = Guest("nop")
    bench = guest.bench
    guest.own.map(DATA_GVA, DATA_GVA, flags)
    guest.host.map(DATA_GVA, OFFSET + DATA_GVA, g_flags)
    bench.memory.store(OFFSET + DATA_GVA, 8, VALUE)
    bench.put(source, CODE)
    bench["hstatus"] = hstatus
    bench.enter(mode)
    bench.hart.pc = CODE
    bench.set(x5=0x1122_3344_5566_7788)
    return bench


def outcome(bench: Bench) -> int:
    """Run one step: the exception's cause, or 0."""
    traps = bench.hart.guest_traps
    bench.hart.run(1)
    return bench["scause"] if bench.hart.guest_traps > traps else 0


class TestInstructions:
    @pytest.mark.parametrize("name", LOADS)
    @pytest.mark.parametrize(("mode", "hstatus"), [("HS", SPVP), ("U", SPVP | HU), ("M", SPVP)])
    def test_loads_of_every_width(self, name: str, mode: str, hstatus: int) -> None:
        size, signed = LOADS[name]
        bench = host(f"{name} x5, (x6)", ALL, mode=mode, hstatus=hstatus)
        bench.hart.run(1)
        value = VALUE & (1 << 8 * size) - 1
        assert bench.x(5) == (value - (1 << 8 * size)) & U64 if signed else value

    @pytest.mark.parametrize("name", STORES)
    @pytest.mark.parametrize(("mode", "hstatus"), [("HS", SPVP), ("U", SPVP | HU), ("M", SPVP)])
    def test_stores_of_every_width(self, name: str, mode: str, hstatus: int) -> None:
        mask = (1 << 8 * STORES[name]) - 1
        bench = host(f"{name} x5, (x6)", ALL, mode=mode, hstatus=hstatus)
        bench.hart.run(1)
        assert bench.memory.load(OFFSET + DATA_GVA, 8) == VALUE & ~mask | bench.x(5) & mask

    @pytest.mark.parametrize(("flags", "user", "sum_bit"), list(product(
        (R, R | W, X, R | X, R | W | X), (0, U), (0, SUM))))
    @pytest.mark.parametrize("spvp", [0, SPVP])
    @pytest.mark.parametrize(("mxr", "vmxr"), [(0, 0), (MXR, 0), (0, MXR)])
    def test_every_permission(self, flags: int, user: int, sum_bit: int, spvp: int, mxr: int, vmxr: int) -> None:
        """They act as VS- or VU-mode does (SPVP), under vsstatus.SUM; HLVX needs X instead of R, whatever MXR is."""
        reachable = bool(user) == (spvp == 0) or bool(spvp and sum_bit)
        rights = {"hlv.w x5, (x6)": bool(flags & R or (flags & X and (mxr or vmxr))),
                  "hlvx.wu x5, (x6)": bool(flags & X), "hsv.w x5, (x6)": bool(flags & W)}  # fmt: skip
        for source, allowed in rights.items():
            bench = host(source, flags | user | V | A | D, hstatus=spvp)
            bench["mstatus"], bench["vsstatus"] = mxr, sum_bit | vmxr
            fault = 15 if source.startswith("hsv") else 13
            assert outcome(bench) == (0 if reachable and allowed else fault), source

    @pytest.mark.parametrize("g_flags", [R, R | W, X, R | X, R | W | X])
    @pytest.mark.parametrize(("mxr", "vmxr"), [(0, 0), (MXR, 0), (0, MXR)])
    def test_every_permission_of_the_second_stage(self, g_flags: int, mxr: int, vmxr: int) -> None:
        """HS's MXR overrides both stages, the guest's only the first."""
        rights = {"hlv.w x5, (x6)": bool(g_flags & R or (g_flags & X and mxr)), "hlvx.wu x5, (x6)": bool(g_flags & X),
                  "hsv.w x5, (x6)": bool(g_flags & W)}  # fmt: skip
        for source, allowed in rights.items():
            bench = host(source, ALL, g_flags | U | V | A | D)
            bench["mstatus"], bench["vsstatus"] = mxr, vmxr
            assert outcome(bench) == (0 if allowed else 23 if source.startswith("hsv") else 21), source

    def test_hs_modes_own_sum_and_translation_do_not_matter(self) -> None:
        bench = host("hlv.d x5, (x6)", ALL | U)
        bench["mstatus"] = SUM
        assert outcome(bench) == 13

    def test_hfence_gvma_takes_a_gpa_shifted_right_by_2(self) -> None:
        """A hart that keeps stale entries drops those of the VMID, and so at least those of the address."""
        bench = Bench("hfence.gvma x5, x0", mode="HS", tlb="stale")
        bench.set(x5=DATA >> 2)
        bench.hart.run(1)
        assert bench.hart.pc == CODE + 4


class TestTwoStageTranslation:
    @pytest.mark.parametrize("mode", [8, 9, 10])
    def test_the_root_is_16_kib_and_its_pointer_aligned(self, mode: int) -> None:
        bench = Bench()
        bench["hgatp"] = mode << 60 | 7
        assert bench["hgatp"] == mode << 60 | 4

    @pytest.mark.parametrize("levels", [3, 4, 5])
    def test_high_bits_of_a_gpa_must_be_zero(self, levels: int) -> None:
        bench = Bench()
        tables = Tables(bench.memory, RAM + 0x4000, gstage=True, levels=levels)
        tables.map(0, RAM, ALL | U)
        bench["hgatp"] = tables.satp
        bench.enter("VS")
        for bit in range(14 + 9 * levels, 64):
            assert bench.hart.translate(1 << bit, LOAD) == (0, 21)
        assert bench.hart.translate(0, LOAD) == (RAM, 0)

    @pytest.mark.parametrize("mode", ["VS", "VU"])
    def test_the_second_stage_checks_as_u_mode(self, mode: str) -> None:
        guest = Guest("nop", mode)
        for flags, cause in ((ALL | U, 0), (ALL, 21)):
            guest.host.map(DATA_GVA, OFFSET + DATA_GVA, flags)
            assert guest.bench.hart.translate(DATA_GVA, LOAD)[1] == cause

    def test_its_g_bit_is_ignored(self) -> None:
        guest = Guest("nop")
        guest.host.map(DATA_GVA, OFFSET + DATA_GVA, ALL | U | 1 << 5)
        assert guest.bench.hart.translate(DATA_GVA, STORE) == (OFFSET + DATA_GVA, 0)

    @pytest.mark.parametrize("access", [FETCH, LOAD, STORE])
    def test_entries_are_read_as_loads_and_reported_as_the_access(self, access: int) -> None:
        """A page that may only be read may hold the guest's tables; one that may only be executed may not."""
        for flags, fault in ((R, 0), (X, {FETCH: 20, LOAD: 21, STORE: 23}[access]), (R | W, 0)):
            guest = Guest("nop")
            table = guest.own.entry(DATA_GVA) & ~0xFFF
            guest.host.map(table - OFFSET, table, flags | V | U | A | D)
            assert guest.bench.hart.translate(DATA_GVA, access)[1] == fault

    @pytest.mark.parametrize(("mxr", "vmxr"), [(0, MXR), (MXR, 0), (MXR, MXR)])
    def test_no_mxr_lets_entries_be_read_from_executable_pages(self, mxr: int, vmxr: int) -> None:
        """MXR is about explicit loads ("Two-Stage Address Translation"); reading an entry is an implicit one."""
        for access, fault in ((FETCH, 20), (LOAD, 21), (STORE, 23)):
            guest = Guest("nop")
            table = guest.own.entry(DATA_GVA) & ~0xFFF
            guest.host.map(table - OFFSET, table, X | V | U | A | D)
            guest.bench["mstatus"], guest.bench["vsstatus"] = mxr, vmxr
            assert guest.bench.hart.translate(DATA_GVA, access)[1] == fault

    @pytest.mark.parametrize(("own", "host"), [(True, False), (False, True), (True, True)])
    def test_pages_of_64_kib_in_either_stage(self, own: bool, host: bool) -> None:
        """Svnapot: 0b1000 in the page number's lowest bits is the size's code; the address gives those bits instead."""
        guest = Guest("nop")
        gva, gpa, hpa = 0x40_0000, 0x5_0000, RAM + 0x2_0000
        for page in range(0, 0x1_0000, 0x1000):
            for tables, is_napot, source, target, flags in (
                    (guest.own, own, gva, gpa, ALL), (guest.host, host, gpa, hpa, ALL | U)):
                place = tables.map(source + page, target + (0x8000 if is_napot else page), flags)
                guest.bench.memory.store(place, 8, is_napot << 63 | guest.bench.memory.load(place, 8))
        for page in range(0, 0x1_0000, 0x1000):
            assert guest.bench.hart.translate(gva + page + 8, STORE) == (hpa + page + 8, 0)

    @pytest.mark.parametrize(("bare", "expected"), [("vsatp", OFFSET + DATA_GVA), ("hgatp", None), ("both", None)])
    def test_either_stage_can_be_bare(self, bare: str, expected: int | None) -> None:
        guest = Guest("nop")
        if bare in ("vsatp", "both"):
            guest.bench["vsatp"] = 0
        if bare in ("hgatp", "both"):
            guest.bench["hgatp"] = 0
        va = DATA if bare == "both" else DATA_GVA
        found = guest.bench.hart.translate(va, LOAD)
        if bare == "hgatp":
            assert found[1] == 5, "the guest's tables are at GPAs where there is no memory"
        else:
            assert found == (expected or DATA, 0)


class TestMprv:
    """The effective mode of M-mode's loads and stores (machine chapter, MPRV; H, "MPV")."""

    @pytest.mark.parametrize(("mpp", "mpv"), list(product((0, 1, 3), (0, 1))))
    def test_every_mode_by_mpp_and_mpv(self, mpp: int, mpv: int) -> None:
        """MPV counts unless MPP is M; the address space is that mode's, and GVA says whether tval is the guest's."""
        guest = Guest("nop", flags=R | W | V | A | D | (U if mpp == 0 else 0))
        bench = guest.bench
        bench["medeleg"] = 0
        bench.put("ld x5, (x6)\nld x5, (x7)", CODE)
        bench.memory.store(OFFSET + DATA_GVA, 8, VALUE)
        bench.enter("M")
        bench.hart.pc = CODE
        bench["mstatus"] = 1 << 17 | mpp << 11 | mpv << 39
        virtual = mpv == 1 and mpp != 3
        bench.set(x6=DATA_GVA if virtual else OFFSET + DATA_GVA, x7=0x5000)
        bench.hart.run(1)
        assert bench.x(5) == VALUE
        if virtual:
            trap = bench.trap()
            assert (trap.cause, bench["mstatus"] >> 38 & 3) == (13, 1), "GVA, and MPV=0: the trap came from M-mode"

    def test_mret_to_a_lower_mode_clears_it_and_mpv(self) -> None:
        for mpp, kept in ((0, 0), (1, 0), (3, 1)):
            bench = Bench("mret")
            bench["mepc"] = CODE
            bench["mstatus"] = 1 << 17 | mpp << 11 | 1 << 39
            bench.hart.run(1)
            assert bench["mstatus"] >> 17 & 1 == kept
            assert bench["mstatus"] >> 39 & 1 == 0
            assert bench.mode == {0: "VU", 1: "VS", 3: "M"}[mpp]


class TestDeprivileging:
    """What a hypervisor that runs its guest in U-mode relies on."""

    @pytest.mark.parametrize("source", ["rdcycle x5", "rdtime x5", "rdinstret x5"])
    def test_counters_trap_while_scounteren_is_zero(self, source: str) -> None:
        bench = Bench(source, mode="U")
        bench["mcounteren"] = 7
        assert bench.trap().cause == 2
        bench = Bench(source, mode="U")
        bench["mcounteren"] = bench["scounteren"] = 7
        bench.hart.run(1)
        assert bench.hart.pc == CODE + 4

    @pytest.mark.parametrize("source", ["wfi", "mret", "sret", "sfence.vma", "hlv.d x5, (x6)", "hfence.gvma",
                                        "csrr x5, sstatus", "csrw satp, x5"])
    def test_what_is_privileged_traps(self, source: str) -> None:
        assert Bench(source, mode="U").trap().cause == 2

    def test_sfence_vma_with_a_destination_is_illegal_everywhere(self) -> None:
        word = int.from_bytes(assemble("sfence.vma").code, "little") | 1 << 7
        for mode in ("M", "HS", "U", "VS", "VU"):
            bench = Bench("nop", mode=mode)
            bench.memory.store(CODE, 4, word)
            assert bench.trap().cause == 2

    def test_an_ecall_is_cause_8_from_either_of_the_guests_modes(self) -> None:
        assert Bench("ecall", mode="U").trap().cause == 8

    @pytest.mark.parametrize("bit", [SUM, MXR])
    def test_sum_and_mxr_take_effect_with_no_fence(self, bit: int) -> None:
        bench = Bench("ld x5, (x6)\ncsrs sstatus, x7\nld x5, (x6)\ncsrc sstatus, x7\nld x5, (x6)")
        own = Tables(bench.memory, RAM + 0x8000)
        own.identity(CODE, 1)
        own.map(0x5000, DATA, ALL | U if bit == SUM else X | V | A)
        bench["satp"] = own.satp
        bench.enter("HS")
        bench.set(x6=0x5000, x7=bit)
        assert bench.trap().cause == 13
        bench.enter("HS")
        bench.hart.pc = CODE + 4
        bench.hart.run(3)
        assert bench.mode == "HS"
        assert bench.trap().cause == 13

    @pytest.mark.parametrize("bits", [0, SUM, SUM | MXR])
    def test_s_mode_never_executes_user_pages(self, bits: int) -> None:
        bench = Bench("jr x6")
        own = Tables(bench.memory, RAM + 0x8000)
        own.identity(CODE, 1)
        own.map(0x5000, DATA, ALL | U)
        bench["satp"], bench["mstatus"] = own.satp, bits
        bench.enter("HS")
        bench.set(x6=0x5000)
        bench.hart.run(1)
        assert bench.trap().cause == 12

    def test_supervisor_interrupts_are_always_enabled_in_u_mode(self) -> None:
        bench = Bench("nop", mode="U")
        bench["mideleg"] = bench["mie"] = U64
        bench["mip"] = 2
        assert (bench["sstatus"] & 2, bench.trap().cause) == (0, 1)

    def test_world_switch_order_leaves_no_mixed_translation(self) -> None:
        """vsatp=0, hgatp, vsatp: the second guest's page is its own, though both have the same addresses."""
        guest = Guest("ld x5, (x6)\nj .-4")
        bench = guest.bench
        bench.memory.store(OFFSET + DATA_GVA, 8, 1)
        bench.hart.run(10)
        other = Tables(bench.memory, RAM + 0x3_0000, gstage=True)
        for page in range(32):
            other.map(page << 12, OFFSET + (page << 12), ALL | U)
        other.map(DATA_GVA, DATA, ALL | U)
        bench.memory.store(DATA, 8, 2)
        bench["vsatp"] = 0
        bench["hgatp"] = other.satp | 1 << 44
        bench["vsatp"] = guest.own.satp
        bench.hart.pc = CODE_GVA
        bench.hart.run(1)
        assert bench.x(5) == 2
