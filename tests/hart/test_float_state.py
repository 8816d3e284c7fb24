"""FS, fcsr, rounding modes and NaN boxing: what is illegal where, and what becomes dirty ("Extension Context Status in
mstatus Register"; F, "Floating-Point Control and Status Register"; H, "Virtual Supervisor Status Register")."""

from __future__ import annotations

import pytest

from hartvisor.core.hart import EXIT_MMIO, EXIT_TRAP, HOST_M, Hart, Memory
from hartvisor.core.isa.assembler import assemble
from hartvisor.core.isa.extensions import parse_isa

from .bench import CODE, DATA, MODES, Bench, number

ILLEGAL = 2
OFF, INITIAL, CLEAN, DIRTY = range(4)
FS = 13
SD = 1 << 63
U64 = (1 << 64) - 1

WRITERS = (
    "fld f1, 0(x6)",
    "flw f1, 0(x6)",
    "flh f1, 0(x6)",
    "fadd.d f1, f2, f3",
    "fadd.s f1, f2, f3, rtz",
    "fsqrt.d f1, f2",
    "fmadd.d f1, f2, f3, f4",
    "fsgnj.d f1, f2, f3",
    "fmin.s f1, f2, f3",
    "fmv.d.x f1, x6",
    "fmv.w.x f1, x6",
    "fcvt.d.w f1, x6",
    "fcvt.s.d f1, f2",
    "fli.d f1, 1.0",
    "fround.d f1, f2",
    "fmv.h.x f1, x6",
    "c.fld f8, 0(x8)",
    "c.fldsp f1, 0(sp)",
    "csrw fcsr, x0",
    "csrwi fflags, 0",
    "csrwi frm, 0",
    "csrsi fflags, 1",
    "feq.d x5, f30, f2",
    "fcvt.w.d x5, f31",
)
"""Instructions that write a floating-point register or fcsr; the last two raise a flag."""

READERS = (
    "fsd f1, 0(x6)",
    "fsw f1, 0(x6)",
    "fsh f1, 0(x6)",
    "fmv.x.d x5, f1",
    "fmv.x.w x5, f1",
    "feq.d x5, f1, f2",
    "fclass.s x5, f1",
    "fcvt.w.d x5, f1, rtz",
    "flt.s x5, f1, f2",
    "c.fsd f8, 0(x8)",
    "c.fsdsp f1, 0(sp)",
    "csrr x5, fcsr",
    "csrr x5, frm",
    "csrr x5, fflags",
    "fmv.x.h x5, f1",
)


def prepared(source: str, mode: str, fs: int, vs_fs: int = DIRTY) -> Bench:
    """A bench about to execute `source`; f30 is a signalling NaN, f31 is 0.5, the others are 1.0."""
    bench = Bench(mode=mode)
    bench["mstatus"] = fs << FS
    bench["vsstatus"] = vs_fs << FS
    bench.memory.write(CODE, assemble(source).code)
    for index in range(32):
        bench.hart.write_fpr(index, 0xFFFF_FFFF_3F80_0000 if ".s" in source else 0x3FF0_0000_0000_0000)
    bench.hart.write_fpr(30, 0x7FF0_0000_0000_0001)
    bench.hart.write_fpr(31, 0x3FE0_0000_0000_0000)
    bench.set(x6=DATA, x8=DATA, x2=DATA)
    return bench


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("source", WRITERS + READERS)
def test_off_makes_everything_illegal(source: str, mode: str) -> None:
    """With V=1 either level's FS does, and the exception is illegal instruction, not virtual instruction."""
    levels = [(OFF, DIRTY), (DIRTY, OFF)] if mode in ("VS", "VU") else [(OFF, DIRTY)]
    for fs, vs_fs in levels:
        bench = prepared(source, mode, fs, vs_fs)
        registers, floats = bench.hart.read_gprs(), bench.hart.read_fprs()
        trap = bench.trap()
        assert (trap.mode, trap.cause, trap.epc) == ("M", ILLEGAL, CODE)
        assert trap.tval == int.from_bytes(assemble(source).code, "little")
        assert (bench.hart.read_gprs(), bench.hart.read_fprs()) == (registers, floats)
        assert bench["mstatus"] >> FS & 3 == fs
        assert bench["vsstatus"] >> FS & 3 == vs_fs


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fs", [INITIAL, CLEAN, DIRTY])
@pytest.mark.parametrize("source", WRITERS)
def test_writing_makes_dirty_at_both_levels(source: str, fs: int, mode: str) -> None:
    for vs_fs in (INITIAL, CLEAN, DIRTY):
        bench = prepared(source, mode, fs, vs_fs)
        bench.hart.run(1)
        assert bench.hart.guest_traps == 0
        assert bench["mstatus"] >> FS & 3 == DIRTY
        assert bench["mstatus"] & SD and bench["sstatus"] & SD
        kept = DIRTY if mode in ("VS", "VU") else vs_fs
        assert bench["vsstatus"] >> FS & 3 == kept
        assert bool(bench["vsstatus"] & SD) == (kept == DIRTY)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("source", READERS)
def test_reading_does_not(source: str, mode: str) -> None:
    for fs in (INITIAL, CLEAN):
        bench = prepared(source, mode, fs, fs)
        bench.hart.run(1)
        assert bench.hart.guest_traps == 0
        assert bench["mstatus"] >> FS & 3 == bench["vsstatus"] >> FS & 3 == fs
        assert not (bench["mstatus"] | bench["vsstatus"]) & SD


@pytest.mark.parametrize("name", ["mstatus", "sstatus", "vsstatus"])
def test_sd_is_read_only_and_follows_fs(name: str) -> None:
    bench = Bench()
    for fs in range(4):
        bench[name] = fs << FS | (0 if fs == DIRTY else SD)
        assert bench[name] >> FS & 3 == fs
        assert bool(bench[name] & SD) == (fs == DIRTY)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "source",
    [
        "fadd.d f1, f2, f3",
        "fcvt.d.w f1, x6, dyn",
        "fcvt.w.s x5, f1",
        "fmadd.s f1, f2, f3, f4",
        "fround.s f1, f2",
        "fcvt.d.s f1, f2, dyn",
        "fsqrt.s f1, f2",
    ],
)
def test_reserved_dynamic_rounding_is_illegal_even_where_the_result_is_exact(source: str, mode: str) -> None:
    for frm in (5, 6, 7):
        for fflags in (0, 1):
            bench = prepared(source, mode, DIRTY)
            bench["fcsr"] = frm << 5 | fflags
            assert bench.trap().cause == ILLEGAL


@pytest.mark.parametrize("rm", [5, 6])
@pytest.mark.parametrize(
    "source", ["fadd.d f1, f2, f3", "fcvt.d.w f1, x6", "fmadd.s f1, f2, f3, f4", "fround.d f1, f2"]
)
def test_reserved_static_rounding_is_illegal(source: str, rm: int) -> None:
    bench = prepared(source, "M", DIRTY)
    bench.memory.store(CODE, 4, bench.memory.load(CODE, 4) & ~(7 << 12) | rm << 12)
    assert bench.trap().cause == ILLEGAL


def test_what_does_not_round_ignores_frm() -> None:
    for source in (
        "fsgnj.d f1, f2, f3",
        "fmin.d f1, f2, f3",
        "feq.d x5, f1, f2",
        "fld f1, 0(x6)",
        "fadd.d f1, f2, f3, rne",
    ):
        bench = prepared(source, "U", DIRTY)
        bench["frm"] = 5
        bench.hart.run(1)
        assert bench.hart.guest_traps == 0


def test_fcsr_is_its_parts() -> None:
    bench = Bench()
    bench["fcsr"] = U64
    assert (bench["fcsr"], bench["frm"], bench["fflags"]) == (0xFF, 7, 31)
    bench["frm"] = 2
    bench["fflags"] = 9
    assert bench["fcsr"] == 2 << 5 | 9


@pytest.mark.parametrize("address", [DATA, DATA + 1, DATA + 0xFFD])
@pytest.mark.parametrize(("letter", "size"), [("h", 2), ("w", 4), ("d", 8)])
def test_loads_box_and_stores_do_not_look(letter: str, size: int, address: int) -> None:
    """Misaligned and page-crossing ones too; the bits are not changed, a signalling NaN's neither."""
    bits = 0xFFF0_1234_7F81_7C01 & (1 << 8 * size) - 1
    bench = prepared(f"fl{letter} f1, 0(x6)\nfs{letter} f2, 16(x6)", "M", DIRTY)
    bench.memory.write(address, bits.to_bytes(size, "little"))
    bench.set(x6=address)
    bench.hart.write_fpr(2, 0x0123_4567_89AB_CDEF)
    bench.hart.run(2)
    assert bench.hart.read_fpr(1) == bits | U64 << 8 * size & U64
    assert bench.memory.read(address + 16, 8) == (0x0123_4567_89AB_CDEF & (1 << 8 * size) - 1).to_bytes(8, "little")


@pytest.mark.parametrize(("letter", "size"), [("h", 2), ("w", 4), ("d", 8)])
def test_devices_can_be_read_and_written(letter: str, size: int) -> None:
    bench = prepared(f"fl{letter} f1, 0(x6)\nfs{letter} f1, 8(x6)", "M", CLEAN)
    bench.set(x6=0x1000_0000)
    assert bench.hart.run(2).reason == EXIT_MMIO
    bench.hart.complete_mmio(0x8001)
    assert bench.hart.read_fpr(1) == 0x8001 | U64 << 8 * size & U64
    assert bench["mstatus"] >> FS & 3 == DIRTY
    seen = bench.hart.run(1)
    assert (seen.reason, seen.size, seen.value) == (EXIT_MMIO, size, 0x8001)


@pytest.mark.parametrize("source", ["fld f9, 8(x6)", "fsd f9, 8(x6)", "c.fld f9, 8(x8)", "c.fsd f9, 8(x8)"])
def test_a_fault_leaves_the_state_clean_and_tells_the_transformed_instruction(source: str) -> None:
    """H, "Transformed Instruction or Pseudoinstruction": no rs1, no immediate; a compressed one is expanded."""
    bench = Bench(mode="VS", hosts=HOST_M)
    bench["mstatus"] = bench["vsstatus"] = CLEAN << FS
    bench.memory.write(CODE, assemble(source).code)
    bench.set(x6=1 << 50, x8=1 << 50)
    assert bench.hart.run(1).reason == EXIT_MMIO
    bench.hart.fault_mmio()
    seen = bench.hart.run(1)
    assert seen.reason == EXIT_TRAP
    expanded = int.from_bytes(
        assemble(source.removeprefix("c.").replace("x8", "x0").replace("x6", "x0")).code, "little"
    )
    immediate = 0xFFF0_0000 if "fld" in source else 0xFE00_0F80
    assert seen.tinst == expanded & ~immediate & ~(2 if source.startswith("c.") else 0)
    assert bench["mstatus"] >> FS & 3 == CLEAN


@pytest.mark.parametrize(
    ("isa", "illegal", "legal"),
    [
        ("rv64ima", ("fadd.s f1, f2, f3", "csrr x5, fcsr", "fld f1, 0(x6)"), ()),
        ("rv64imaf", ("fadd.d f1, f2, f3", "fli.s f1, 1.0", "flh f1, 0(x6)"), ("fadd.s f1, f2, f3",)),
        ("rv64imaf_zfa_zfhmin", ("fli.d f1, 1.0", "fcvt.d.h f1, f2"), ("fli.s f1, 1.0", "fcvt.s.h f1, f2")),
        ("rv64imafd_zfa_zfhmin", ("fadd.h f1, f2, f3", "fli.h f1, 1.0", "fcvt.h.w f1, x6"), ("fcvt.h.d f1, f2",)),
        ("rv64imafd_zfh", ("fli.h f1, 1.0",), ("fadd.h f1, f2, f3", "fcvt.h.w f1, x6", "flh f1, 0(x6)")),
        ("rv64imafd", ("c.fld f8, 0(x8)",), ("fadd.d f1, f2, f3",)),
        ("rv64imafdc", ("fround.d f1, f2",), ("c.fld f8, 0(x8)",)),
    ],
)
def test_extensions_are_a_choice(isa: str, illegal: tuple[str, ...], legal: tuple[str, ...]) -> None:
    for source in illegal + legal:
        hart = Hart(Memory(1 << 18), isa=parse_isa(isa))
        hart.write_csr(number("mstatus"), DIRTY << FS)
        hart.write_gpr(6, DATA)
        hart.write_gpr(8, DATA)
        hart.pc = CODE
        hart.memory.write(CODE, assemble(source).code)
        hart.run(1)
        assert (hart.guest_traps == 0) == (source in legal), source
        letters = isa.split("_")[0]
        assert hart.read_csr(number("mstatus")) >> FS & 3 == DIRTY
        misa = hart.read_csr(number("misa"))
        assert (bool(misa >> 5 & 1), bool(misa >> 3 & 1)) == ("f" in letters, "d" in letters)
