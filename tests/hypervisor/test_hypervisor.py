"""Several VMs on one machine: each runs as it would alone, whatever the others do, in one thread or many."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.machine.loader import load_image
from hartvisor.core.machine.memory_map import MIB
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.hypervisor.hypervisor import Hypervisor
from hartvisor.core.vmm.hypervisor.runner import OneThread, Runner, Threads
from hartvisor.core.vmm.hypervisor.scheduler import SCHEDULERS, jain_index
from hartvisor.core.vmm.hypervisor.tenant import TenantConfig, TenantState
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image

from .audit import check
from .support import BUSY, DATA, TECHNIQUES, TICKS, TOUCH, add, machine

KERNEL = load_image(image("kernel"))


@pytest.fixture
def threads() -> Iterator[Threads]:
    runner = Threads()
    yield runner
    runner.close()


def frames_are_accounted_for(hypervisor: Hypervisor) -> bool:
    """Each frame of the machine is in the pool, in a stock, in use by one VM, or shared."""
    living = hypervisor.living
    shared = {hpa for tenant in living for hpa in [*tenant.ram.shared.values(), *tenant.ram.abandoned]}
    held = sum(tenant.frames.held + tenant.frames.stock for tenant in living)
    return hypervisor.memory.pool.free + held + len(shared) == hypervisor.memory.pool.total


def tern(runner: Runner | None = None, memory: int = 12 * MIB, victims: str = "clock",
         scheduler: str = "stride") -> Hypervisor:
    """Three teaching kernels at work, one under each technique, to their ends."""
    hypervisor = machine(memory, runner, swap=64 * MIB, victims=victims, scheduler=scheduler)
    for technique, shares in zip(TECHNIQUES, (300, 200, 100), strict=True):
        add(hypervisor, technique, KERNEL, technique, 16 * MIB, shares=shares, append="workload")
    return hypervisor


def alone(steps: int) -> str:
    vm = Vm(VmConfig(technique="two-stage", memory=16 * MIB, append="workload"), KERNEL)
    vm.run(steps)
    return digest(vm)


def test_vms_run_as_they_would_alone_and_threads_change_nothing(threads: Threads) -> None:
    one = tern()
    one.run(40_000_000)
    assert frames_are_accounted_for(one)
    assert check(*(tenant.vm for tenant in one.living)) > 100
    assert one.memory.sharing.pages_saved > 0
    assert [tenant.digest() for tenant in one.tenants] == [alone(tenant.vm.steps) for tenant in one.tenants]
    several = tern(threads)
    several.run(40_000_000)
    assert several.result() == one.result()


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_shares_are_had_exactly(scheduler: str) -> None:
    hypervisor = machine(scheduler=scheduler)
    shares = (300, 200, 100, 100, 50)
    for index, share in enumerate(shares):
        add(hypervisor, f"vm{index}", BUSY, TECHNIQUES[index % 3], shares=share)
    assert hypervisor.run(50_000_000)
    assert hypervisor.clock == 50_000_000 == sum(tenant.used for tenant in hypervisor.tenants)
    received = [tenant.used / share for tenant, share in zip(hypervisor.tenants, shares, strict=True)]
    assert jain_index(received) >= 0.999


def test_reservations_and_limits_hold_under_contention() -> None:
    hypervisor = machine()
    add(hypervisor, "reserved", shares=1, reservation=200)
    add(hypervisor, "limited", shares=100_000, limit=300)
    for index in range(4):
        add(hypervisor, f"other{index}", shares=1000)
    hypervisor.run(100_000_000)
    assert hypervisor.find("reserved").used >= 20_000_000 - 50_000
    assert hypervisor.find("limited").used <= 30_000_000 + 3_000_000
    assert hypervisor.find("limited").used >= 29_000_000
    assert hypervisor.idle == 0


def test_a_limit_leaves_the_machine_idle() -> None:
    hypervisor = machine()
    tenant = add(hypervisor, "limited", limit=100)
    hypervisor.run(100_000_000)
    assert tenant.used + hypervisor.idle == hypervisor.clock == 100_000_000
    assert 10_000_000 - 50_000 <= tenant.used <= 11_000_000


def test_who_sleeps_does_so_for_as_long_as_it_believes() -> None:
    """Beside one that never sleeps: a millisecond of the sleeper's is one of the machine's."""
    hypervisor = machine()
    sleeper = add(hypervisor, "sleeper", TICKS.format(period=10_000))
    busy = add(hypervisor, "busy")
    hypervisor.run(50_000_000)
    assert sleeper.used < 100_000
    assert busy.used > 49_000_000
    assert sleeper.vm.harts[0].read_gpr(8) == pytest.approx(500, abs=100)
    assert sleeper.vm.steps <= 50_000_000 + 100_000
    assert hypervisor.idle == 0


def test_a_machine_on_which_all_sleep_is_idle() -> None:
    hypervisor = machine()
    add(hypervisor, "one", TICKS.format(period=10_000))
    add(hypervisor, "two", TICKS.format(period=7_000))
    assert hypervisor.run(50_000_000)
    assert hypervisor.idle > 49_000_000
    counts = [tenant.vm.harts[0].read_gpr(8) for tenant in hypervisor.tenants]
    assert counts == [pytest.approx(500, abs=20), pytest.approx(714, abs=30)]


def test_a_machine_on_which_nobody_will_wake_stops() -> None:
    hypervisor = machine()
    tenant = add(hypervisor, "vm", "csrw sie, zero\nwfi\nj .")
    assert not hypervisor.run(1_000_000)
    tenant.vm.vcpus[0].is_waiting = False
    tenant.look_again(hypervisor.clock)
    assert hypervisor.run(1_000_000)


def test_a_paused_vm_stands_still() -> None:
    hypervisor = machine()
    one, other = add(hypervisor, "one"), add(hypervisor, "other")
    hypervisor.run(10_000_000)
    steps = one.vm.steps
    hypervisor.pause(one)
    hypervisor.run(10_000_000)
    assert one.vm.steps == steps
    assert other.used == 15_000_000
    hypervisor.resume(one)
    hypervisor.run(10_000_000)
    assert one.used == 10_000_000


def test_a_stopped_vm_gives_back_all_it_had() -> None:
    hypervisor = machine()
    add(hypervisor, "stays", TOUCH.format(first=DATA, pages=50, value=1))
    goes = add(hypervisor, "goes", TOUCH.format(first=DATA, pages=50, value=1))
    hypervisor.run(10_000_000)
    assert hypervisor.memory.sharing.pages_saved >= 50
    hypervisor.stop(goes)
    assert goes.state is TenantState.STOPPED
    assert frames_are_accounted_for(hypervisor)
    assert hypervisor.memory.sharing.pages_shared == 0
    hypervisor.stop(hypervisor.find("stays"))
    assert hypervisor.memory.pool.free == hypervisor.memory.pool.total


def test_vms_that_share_pages_can_end_in_one_round() -> None:
    """One of them has just left a frame that it shared with the other."""
    text = TOUCH.format(first=DATA, pages=50, value=1).replace("j .", f"""
        li t1, 60000
    wait: addi t1, t1, -1
        bnez t1, wait
        li t0, {DATA}
        sd t1, 0(t0)
        li a7, 8
        ecall
    """)
    hypervisor = machine(quantum=10_000)
    tenants = [add(hypervisor, f"vm{index}", text, TECHNIQUES[index]) for index in range(3)]
    hypervisor.memory.settle(tenants, 0)
    for _ in range(3):
        hypervisor.run(60_000)
        hypervisor.memory.sharing.scan([tenant.ram for tenant in tenants], 1 << 20)
    assert hypervisor.memory.sharing.pages_saved >= 100
    assert not hypervisor.run(10_000_000)
    assert {tenant.state for tenant in tenants} == {TenantState.OFF}
    assert hypervisor.memory.pool.free == hypervisor.memory.pool.total


@pytest.mark.parametrize(("settings", "complaint"), [
    ({"memory": 128 * MIB}, "128 MiB of memory are not to be had: of the machine's 64 MiB and 0 MiB of swap, 56 MiB"),
    ({"memory": 32 * MIB, "memory_reservation": 40 * MIB}, "no more than its memory"),
    ({"technique": "bare"}, "deprivileged, shadow or two-stage"),
    ({"reservation": 600}, "110 % of the machine"),
    ({"name": "first"}, "two VMs of the name 'first'"),
])
def test_a_vm_that_asks_for_more_than_there_is_is_refused(settings: dict[str, object], complaint: str) -> None:
    hypervisor = machine()
    first = add(hypervisor, "first", memory=8 * MIB, reservation=500)
    free = hypervisor.memory.pool.free
    name = settings.pop("name", "more")
    with pytest.raises(ConfigError, match=complaint):
        add(hypervisor, name, **settings)  # type: ignore[arg-type]
    assert complaint.split(":")[0] in hypervisor.refused[name]  # type: ignore[index]
    assert hypervisor.memory.pool.free == free
    hypervisor.run(1_000_000)
    assert first.used == 1_000_000


@pytest.mark.parametrize("victims", ["clock", "random"])
@pytest.mark.parametrize("technique", TECHNIQUES)
def test_overcommitted_memory_is_not_seen(technique: str, victims: str, threads: Threads) -> None:
    """Three guests that each use, again and again, more than a third of what there is."""
    text = TOUCH.format(first=DATA, pages=900, value=3).replace("j .", f"li s1, {DATA}\nli s2, 900\nj again")
    results = []
    for runner in (OneThread(), threads):
        hypervisor = machine(8 * MIB, runner, swap=32 * MIB, victims=victims, is_sharing=False, quantum=10_000)
        for index in range(3):
            add(hypervisor, f"vm{index}", text, technique, 8 * MIB)
        hypervisor.run(90_000)
        results.append(hypervisor.result())
        assert sum(vm["pages"]["swapped"] for vm in results[-1]["vms"]) > 700
        assert check(*(tenant.vm for tenant in hypervisor.living)) > 100
        assert frames_are_accounted_for(hypervisor)
    assert results[0] == results[1]
    roomy = machine(64 * MIB, is_sharing=False)
    for index in range(3):
        add(roomy, f"vm{index}", text, technique, 8 * MIB)
    roomy.run(90_000)
    for vm, other in zip(hypervisor.tenants, roomy.tenants, strict=True):
        last = max(vm.vm.steps, other.vm.steps)
        for each in (vm.vm, other.vm):
            while each.steps < last:  # a stretch ends early when the stock is low
                each.run(last - each.steps)
        assert vm.vm.steps == other.vm.steps
        assert digest(vm.vm) == digest(other.vm)


def test_a_vm_for_which_no_frame_is_left_ends_alone() -> None:
    """Its part of the swap space is lost, as on a full disk."""
    text = TOUCH.format(first=DATA, pages=1200, value=3)
    hypervisor = machine(8 * MIB, swap=24 * MIB, is_sharing=False, quantum=500)
    well = add(hypervisor, "well")
    tenants = [add(hypervisor, f"greedy{index}", text, shares=1000 // (9 * index + 1)) for index in range(2)]
    for tenant in (well, *tenants):
        tenant.ram.swap.slots = 0
    hypervisor.run(2_000_000)
    failed = [tenant for tenant in tenants if tenant.state is TenantState.FAILED]
    assert len(failed) == 1
    assert "swap that it may use are full" in failed[0].detail
    assert [tenant.state for tenant in tenants].count(TenantState.RUNNING) == 1
    assert well.state is TenantState.RUNNING
    assert frames_are_accounted_for(hypervisor)


def test_a_crashed_guest_ends_only_itself() -> None:
    hypervisor = machine()
    bad = hypervisor.add(TenantConfig("bad", VmConfig(technique="shadow", memory=8 * MIB),
                                      load_image(image("badvec"))))
    good = add(hypervisor, "good")
    hypervisor.run(5_000_000)
    assert bad.state is TenantState.CRASHED
    assert "trap loop" in bad.detail
    assert good.used > 4_000_000
    assert not good.is_over


def test_a_memory_reservation_is_not_taken() -> None:
    text = TOUCH.format(first=DATA, pages=900, value=3).replace("j .", f"li s1, {DATA}\nli s2, 900\nj again")
    hypervisor = machine(12 * MIB, swap=32 * MIB, is_sharing=False, quantum=10_000)
    kept = add(hypervisor, "kept", text, memory_reservation=4 * MIB)
    for index in range(3):
        add(hypervisor, f"other{index}", text)
    hypervisor.run(120_000)
    assert kept.ram.swapped == 0
    assert all(tenant.ram.swapped > 50 for tenant in hypervisor.tenants[1:])
    assert len({tenant.digest() for tenant in hypervisor.tenants if tenant.vm.steps == kept.vm.steps}) == 1


def test_memory_is_taken_where_shares_pay_for_the_most() -> None:
    text = TOUCH.format(first=DATA, pages=900, value=3).replace("j .", f"li s1, {DATA}\nli s2, 900\nj again")
    hypervisor = machine(10 * MIB, swap=32 * MIB, is_sharing=False, quantum=10_000)
    rich = add(hypervisor, "rich", text, memory_shares=300)
    poor = [add(hypervisor, f"poor{index}", text, memory_shares=100) for index in range(2)]
    hypervisor.run(300_000)
    assert rich.ram.resident > max(tenant.ram.resident for tenant in poor)
    assert rich.ram.swapped * 2 < min(tenant.ram.swapped for tenant in poor)
