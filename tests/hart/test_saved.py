"""Hart.save and Hart.restore: another hart goes on from there as the first would have."""

from __future__ import annotations

from random import Random

import pytest

from hartvisor.core.hart import EXIT_MMIO, Hart, Memory
from hartvisor.core.isa.extensions import DEFAULT_ISA, without

from .bench import Bench, copy_memory, difference, state
from .programs import make_case, run_to


@pytest.mark.parametrize("seed", range(40))
def test_a_restored_hart_goes_on_alike(seed: int) -> None:
    """Random programs, CSRs, tables and traps: saved at a random step, gone on with by a hart that has done nothing."""
    random = Random(seed)
    case = make_case(seed)
    hart = case.start()
    run_to(hart, random.randrange(600))
    saved = hart.save()
    other = Hart(copy_memory(hart.memory), has_h=case.has_h)
    other.restore(saved)
    assert other.save() == saved
    assert difference(state(hart), state(other)) == {}
    for one in (hart, other):
        run_to(one, one.steps + 400)
    assert difference(state(hart), state(other)) == {}
    assert hart.save() == other.save()
    assert bytes(memoryview(hart.memory)) == bytes(memoryview(other.memory))


def test_a_hart_that_waits_for_a_device_cannot_be_saved() -> None:
    """Between a device access and its answer there is no state to go on from."""
    bench = Bench("lw a0, 0(zero)")
    assert bench.hart.run(1).reason == EXIT_MMIO
    with pytest.raises(ValueError, match="between steps only"):
        bench.hart.save()
    bench.hart.complete_mmio(5)
    assert bench.hart.save()["pc"] == bench.hart.pc


def test_a_hart_without_the_extension_refuses() -> None:
    """The state of a hart with H means nothing to one without."""
    bench = Bench()
    bench["hedeleg"] = 1 << 8
    other = Hart(Memory(1 << 16), isa=without(DEFAULT_ISA, "H"))
    before = other.save()
    with pytest.raises(ValueError, match="differs from this one in its extensions: H"):
        other.restore(bench.hart.save())
    assert other.save() == before


def test_overflows_and_counters_go_on() -> None:
    """A counter that runs is saved with what it has counted."""
    bench = Bench("addi a0, a0, 1\n j .-4")
    bench["mhpmevent3"] = 2
    bench.hart.run(101)
    other = Hart(copy_memory(bench.memory))
    other.restore(bench.hart.save())
    for hart in (bench.hart, other):
        hart.run(50)
    assert bench["mhpmcounter3"] == other.read_csr(0xB03) > 100
