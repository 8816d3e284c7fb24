"""LR, SC and AMOs ("A"), and what breaks a reservation."""

from __future__ import annotations

import pytest

from hartvisor.core.hart import HOST_M, Hart
from hartvisor.core.isa import causes
from hartvisor.core.isa.assembler import assemble

from .bench import DATA, RAM, Bench
from .tables import Tables


def reserve(source: str, **registers: int) -> Bench:
    """Run `lr.d x5, (x6)` at DATA, then `source`, then `sc.d x7, x8, (x6)`."""
    bench = Bench(f"lr.d x5, (x6)\n{source}\nsc.d x7, x8, (x6)")
    bench.set(x6=DATA, x8=99, **registers)
    bench.hart.run(2 + len(source.splitlines()))
    return bench


def is_kept(bench: Bench) -> bool:
    """Whether the SC succeeded, and stored if it did."""
    assert bench.hart.reservation == -1, "an SC clears the reservation"
    assert bench.memory.load(DATA, 8) == (99 if bench.x(7) == 0 else bench.memory.load(DATA, 8))
    return bench.x(7) == 0


def test_sc_succeeds_after_lr_of_the_same_address() -> None:
    assert is_kept(reserve("nop"))


@pytest.mark.parametrize("source", ["sd x9, (x6)", "sb x9, 3(x6)", "amoadd.w x9, x9, (x6)"])
def test_own_stores_keep_the_reservation(source: str) -> None:
    assert is_kept(reserve(source))


@pytest.mark.parametrize("source", ["sc.d x9, x9, (x6)", "addi x6, x6, 8", "addi x6, x6, 2040"])
def test_sc_needs_the_reservation_at_its_own_address(source: str) -> None:
    bench = reserve(source)
    assert (bench.x(7), bench.memory.load(DATA + 8, 8), bench.memory.load(DATA + 2040, 8)) == (1, 0, 0)


def test_a_failed_sc_clears_the_reservation_too() -> None:
    assert not is_kept(reserve("addi x10, x6, 8\nsc.w x9, x9, (x10)"))


def test_a_second_lr_moves_the_reservation() -> None:
    assert not is_kept(reserve("addi x10, x6, 8\nlr.d x9, (x10)"))


def test_the_reservation_is_of_a_physical_address() -> None:
    bench = Bench("lr.d x5, (x6)\nsc.d x7, x8, (x9)", mode="M")
    tables = Tables(bench.memory, RAM + 0x8000)
    tables.identity(RAM, 8)
    tables.map(0x40_0000, DATA)
    tables.map(0x40_1000, DATA)
    bench["satp"] = tables.satp
    bench.enter("HS")
    bench.set(x6=0x40_0000, x8=99, x9=0x40_1000)
    bench.hart.run(1)
    assert bench.hart.reservation == DATA
    bench.hart.run(1)
    assert (bench.x(7), bench.memory.load(DATA, 8)) == (0, 99)


def test_a_trap_and_a_return_break_the_reservation() -> None:
    bench = Bench("lr.d x5, (x6)\necall")
    bench.set(x6=DATA)
    bench.hart.run(2)
    assert bench.hart.reservation == -1
    for source, mode in (("mret", "M"), ("sret", "HS"), ("sret", "VS")):
        bench = Bench(source, mode=mode)
        bench.hart.reservation = DATA
        bench.hart.run(1)
        assert bench.hart.reservation == -1, (source, mode)


def test_an_exit_that_the_guest_cannot_see_keeps_the_reservation() -> None:
    bench = Bench("lr.d x5, (x6)\necall", mode="HS", hosts=HOST_M)
    bench.set(x6=DATA)
    bench.hart.run(5)
    assert bench.hart.reservation == DATA


@pytest.mark.parametrize(("offset", "is_broken"), [(-8, False), (-1, True), (0, True), (7, True), (8, False)])
def test_a_device_breaks_reservations_on_the_bytes_it_stores_to(offset: int, is_broken: bool) -> None:
    bench = Bench("lr.d x5, (x6)")
    bench.set(x6=DATA)
    bench.hart.run(1)
    bench.memory.write(DATA + offset, bytes(8 if offset == -8 else 2 if offset == -1 else 1))
    assert bench.hart.reservation == (-1 if is_broken else DATA)


class TestAnotherHart:
    """Stores of another hart to the reserved bytes break the reservation, by whatever path they go."""

    @staticmethod
    def pair(source: str) -> tuple[Bench, Hart]:
        bench = Bench("lr.d x5, (x6)")
        bench.set(x6=DATA)
        bench.put(source, RAM + 0x3000)
        other = Hart(bench.memory)
        other.pc = RAM + 0x3000
        other.write_gpr(6, DATA)
        return bench, other

    @pytest.mark.parametrize(
        "source",
        [
            "sd x0, (x6)",
            "sw x0, 4(x6)",
            "sh x0, 6(x6)",
            "sb x0, 7(x6)",
            "sd x0, -4(x6)",
            "sw x0, 7(x6)",
            "amoadd.w x5, x0, (x6)",
        ],
    )
    @pytest.mark.parametrize("warm", [0, 1])
    def test_breaks_it(self, source: str, warm: int) -> None:
        bench, other = self.pair(source + "\n" + source)
        other.run(warm)
        bench.hart.run(1)
        other.run(1)
        assert bench.hart.reservation == -1

    @pytest.mark.parametrize("source", ["sd x0, 8(x6)", "sd x0, -8(x6)", "ld x5, (x6)", "sc.d x5, x0, (x6)"])
    def test_leaves_it(self, source: str) -> None:
        bench, other = self.pair(source + "\n" + source)
        other.run(1)
        bench.hart.run(1)
        other.run(1)
        assert bench.hart.reservation == DATA

    def test_breaks_it_with_the_second_page_of_a_store(self) -> None:
        bench, other = self.pair("nop")
        bench.put("sd x0, (x6)")
        tables = Tables(bench.memory, RAM + 0x8000)
        tables.identity(RAM, 8)
        tables.map(0x1000, DATA)
        tables.map(0x2000, DATA + 0x3000)
        bench["satp"] = tables.satp
        bench.enter("HS")
        bench.set(x6=0x1FFC)
        other.reservation = DATA + 0x3000
        bench.hart.run(1)
        assert other.reservation == -1


@pytest.mark.parametrize("mode", ["M", "VS"])
@pytest.mark.parametrize(
    ("source", "cause", "step"),
    [
        ("lr.w x5, (x6)", causes.LOAD_ADDRESS_MISALIGNED, 4),
        ("lr.d x5, (x6)", causes.LOAD_ADDRESS_MISALIGNED, 8),
        ("sc.w x5, x7, (x6)", causes.STORE_ADDRESS_MISALIGNED, 4),
        ("sc.d x5, x7, (x6)", causes.STORE_ADDRESS_MISALIGNED, 8),
        ("amoor.w x5, x7, (x6)", causes.STORE_ADDRESS_MISALIGNED, 4),
        ("amomaxu.d x5, x7, (x6)", causes.STORE_ADDRESS_MISALIGNED, 8),
    ],
)
def test_a_misaligned_atomic_traps_before_translation(source: str, cause: int, step: int, mode: str) -> None:
    for offset in range(1, step):
        bench = Bench(source, mode=mode)
        bench.set(x6=(1 << 62) + offset)
        trap = bench.trap()
        assert (trap.cause, trap.tval) == (cause, (1 << 62) + offset)
        assert bench["mstatus"] >> 38 & 1 == (mode == "VS"), "mstatus.GVA"


def test_mprv_into_a_guest_makes_the_misaligned_address_a_guest_virtual_one() -> None:
    bench = Bench("amoadd.w x5, x7, (x6)")
    bench["mstatus"] = 1 << 17 | 1 << 11 | 1 << 39
    bench.set(x6=DATA + 1)
    assert bench.trap().cause == causes.STORE_ADDRESS_MISALIGNED
    assert bench["mstatus"] >> 38 & 3 == 1, "GVA set, MPV not: the trap came from M-mode"


def test_atomics_on_a_code_page_change_the_code() -> None:
    bench = Bench("amoswap.w x5, x7, (x6)\nnop\nnop")
    bench.set(x6=RAM + 4, x7=int.from_bytes(assemble("addi x9, x0, 5").code, "little"))
    bench.hart.run(2)
    assert bench.x(9) == 5
