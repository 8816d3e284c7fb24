"""Networks between VMs: a frame takes its latency, by the receiver's clock, however the machine runs them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hartvisor.core.machine.memory_map import MIB
from hartvisor.core.vmm.hypervisor.hypervisor import Hypervisor
from hartvisor.core.vmm.hypervisor.lan import Lan, Lans
from hartvisor.core.vmm.hypervisor.runner import Runner, Threads
from hartvisor.core.vmm.hypervisor.tenant import Tenant
from hartvisor.core.vmm.state import NEVER
from tests.vmm.test_network import BUFFER, FALLS_ASLEEP, QUESTION, S5, SLEEPS, SPINS

from .support import BUSY, TECHNIQUES, TICKS, add, machine

TICKS_A_MICROSECOND = 10


@pytest.fixture
def threads() -> Iterator[Threads]:
    runner = Threads()
    yield runner
    runner.close()


def build(texts: list[str], latency: int = 500, runner: Runner | None = None, quantum: int = 50_000,
          **settings: object) -> tuple[Hypervisor, Lan, list[Tenant]]:
    """VMs that run these, each with a card in one network."""
    hypervisor = machine(64 * MIB, runner, quantum=quantum)
    lan = Lan("lan", latency)
    lans = Lans([lan], lambda: hypervisor.clock)
    hypervisor.barriers.append(lans)
    tenants = []
    for index, text in enumerate(texts):
        card = lan.make_card(b"\x52\x54\x00\x00\x00" + bytes((index,)))
        tenants.append(add(hypervisor, f"vm{index}", text, TECHNIQUES[index % 3], devices=[card], **settings))
        lans.connect(tenants[-1])
    return hypervisor, lan, tenants


def time_of(tenant: Tenant) -> int:
    """The guest's time register when the frame was there: ticks."""
    return tenant.vm.hart.read_gpr(S5)


@pytest.mark.parametrize("text", [SLEEPS, SPINS], ids=["asleep", "awake"])
@pytest.mark.parametrize("latency", [100, 500, 3000])
def test_a_frame_takes_its_latency(text: str, latency: int) -> None:
    """Each asks, and takes the other's question for an answer."""
    hypervisor, lan, tenants = build([text, text], latency)
    hypervisor.run(2 * latency * 100 + 200_000)
    for tenant in tenants:
        assert tenant.vm.ram.read(BUFFER + 12, len(QUESTION)) == QUESTION
        assert latency * TICKS_A_MICROSECOND <= time_of(tenant) < latency * TICKS_A_MICROSECOND + 40
    counters = [port.counters for port in lan.switch.ports]
    assert [(each.sent_frames, each.received_frames, each.dropped) for each in counters] == [(1, 1, 0)] * 2


def test_how_the_machine_runs_them_changes_nothing(threads: Threads) -> None:
    results = []
    for runner, quantum in ((None, 50_000), (threads, 50_000), (None, 1_700)):
        hypervisor, _, tenants = build([SLEEPS, SPINS, SPINS, SLEEPS], runner=runner, quantum=quantum)
        hypervisor.run(600_000)
        for tenant in tenants:  # to one point of its own clock, past everything
            tenant.vm.run(max(0, 700_000 - tenant.vm.steps))
        results.append([(tenant.digest(), time_of(tenant)) for tenant in tenants])
    assert results[0] == results[1] == results[2]


def test_clocks_stay_within_the_latency_of_each_other() -> None:
    hypervisor, _, tenants = build([BUSY, BUSY, BUSY], latency=200)
    hypervisor.cpu.scheduler.set_shares(0, 10_000)
    for _ in range(100):
        hypervisor.run(10_000)
        steps = [tenant.vm.steps for tenant in tenants]
        assert max(steps) - min(steps) <= 200 * 100
    assert min(steps) > 300_000


def test_one_that_sleeps_for_long_holds_nobody_up() -> None:
    hypervisor, _, tenants = build([BUSY, "csrw sie, zero\nwfi\nj .", TICKS.format(period=1_000_000)])
    hypervisor.run(10_000_000)
    assert tenants[0].used > 9_900_000


def test_one_that_sleeps_for_good_is_woken_by_a_frame_at_its_time() -> None:
    """The first is long asleep when the second sends."""
    late = "li t0, 200000\nwait: addi t0, t0, -1\nbnez t0, wait\n" + SPINS
    hypervisor, _, (sleeper, _) = build([FALLS_ASLEEP, late])
    hypervisor.run(3_000_000)
    assert sleeper.vm.hart.read_gpr(20) == 1
    sent = (200_000 * 2 + 100) // 10
    assert sent < time_of(sleeper) < sent + 5_000 + 100
    assert sleeper.ready_at == NEVER


def test_a_paused_vm_holds_nobody_up_and_goes_on_where_the_others_are() -> None:
    hypervisor, _, (one, other) = build([BUSY, SPINS])
    hypervisor.run(100_000)
    hypervisor.pause(one)
    hypervisor.run(5_000_000)
    assert other.vm.steps > 4_900_000
    steps = one.vm.steps
    hypervisor.resume(one)
    hypervisor.run(1_000_000)
    assert one.vm.steps - steps == pytest.approx(500_000, abs=50_000)


def test_networks_that_share_a_vm_go_together() -> None:
    hypervisor = machine()
    left, right = Lan("left", 100), Lan("right", 1000)
    lans = Lans([left, right], lambda: hypervisor.clock)
    hypervisor.barriers.append(lans)
    for index, networks in enumerate(([left], [left, right], [right])):
        cards = [lan.make_card(b"\x52\x54\x00\x00\x01" + bytes((index,))) for lan in networks]
        lans.connect(add(hypervisor, f"vm{index}", devices=cards))
    lans.connect(add(hypervisor, "apart"))
    [(members, networks)] = lans.groups()
    assert [member.tenant.name for member in members] == ["vm0", "vm1", "vm2"]
    assert {lan.name for lan in networks} == {"left", "right"}
    hypervisor.cpu.scheduler.set_shares(0, 1000)
    hypervisor.run(1_000_000)
    steps = [tenant.vm.steps for tenant in hypervisor.tenants]
    assert max(steps[:3]) - min(steps[:3]) <= 10_000
