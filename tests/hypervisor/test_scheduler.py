"""Proportional share with numbers alone: fairness, reservations, limits, sleepers; the same for every scheduler."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.vmm.hypervisor.entitlement import PERIOD, WHOLE, Entitlement, Entitlements
from hartvisor.core.vmm.hypervisor.scheduler import SCHEDULERS, jain_index

QUANTUM = 50_000


class Play:
    """A machine of numbers: who is awake gets quanta as it is entitled to, and uses them up."""

    def __init__(self, scheduler: str, entitlements: Mapping[int, Entitlement]) -> None:
        self.cpu = Entitlements(SCHEDULERS[scheduler]())
        self.clock = 0
        self.idle = 0
        self.had = dict.fromkeys(entitlements, 0)
        self.longest = dict.fromkeys(entitlements, 0)
        self._last = dict.fromkeys(entitlements, 0)
        for client, entitlement in entitlements.items():
            self.cpu.add(client, entitlement, 0)

    def run(self, steps: int, awake: list[int]) -> None:
        end = self.clock + steps
        for client in self.had:
            self.cpu.set_awake(client, client in awake, self.clock)
            self._last[client] = self.clock
        while self.clock < end:
            chosen = self.cpu.pick_next(awake, self.clock, QUANTUM)
            if chosen is None:
                self.idle += QUANTUM
                self.clock += QUANTUM
                continue
            self.longest[chosen] = max(self.longest[chosen], self.clock - self._last[chosen])
            self.cpu.charge(chosen, QUANTUM)
            self.clock += QUANTUM
            self.had[chosen] += QUANTUM
            self._last[chosen] = self.clock


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_time_goes_by_shares(scheduler: str) -> None:
    shares = {0: 300, 1: 200, 2: 100, 3: 100, 4: 50, 5: 50, 6: 10, 7: 190}
    play = Play(scheduler, {client: Entitlement(share) for client, share in shares.items()})
    play.run(100_000_000, list(shares))
    assert jain_index([play.had[client] / share for client, share in shares.items()]) > 0.995
    assert min(play.had.values()) > 0
    assert play.idle == 0


def test_stride_is_never_more_than_a_quantum_off_between_two() -> None:
    play = Play("stride", {0: Entitlement(300), 1: Entitlement(100)})
    for _ in range(200):
        play.run(QUANTUM, [0, 1])
        assert abs(play.had[0] - 3 * play.had[1]) <= 3 * QUANTUM


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_sleeper_saves_up_nothing(scheduler: str) -> None:
    play = Play(scheduler, {0: Entitlement(), 1: Entitlement()})
    play.run(50_000_000, [0])
    before = play.had[0]
    play.run(20_000_000, [0, 1])
    assert abs(play.had[1] - (play.had[0] - before)) <= 4_000_000
    assert play.longest[0] <= 4_000_000


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_reservation_is_had_under_contention(scheduler: str) -> None:
    rights = {0: Entitlement(1, reservation=250), **{client: Entitlement(1000) for client in range(1, 6)}}
    play = Play(scheduler, rights)
    play.run(100_000_000, list(rights))
    assert play.had[0] >= 25_000_000 - QUANTUM
    assert play.had[0] <= 26_000_000


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_limit_holds_even_where_nobody_else_wants_the_machine(scheduler: str) -> None:
    play = Play(scheduler, {0: Entitlement(limit=200), 1: Entitlement()})
    play.run(100_000_000, [0])
    assert play.had[0] <= 20_000_000 + PERIOD * 200 // WHOLE
    assert play.had[0] >= 20_000_000 - QUANTUM
    assert play.idle == 100_000_000 - play.had[0]
    before = play.had[0]
    play.run(100_000_000, [0, 1])
    assert abs(play.had[0] - before - 20_000_000) <= QUANTUM
    assert play.had[0] - before + play.had[1] == 100_000_000


def test_nobody_starves_and_waits_no_longer_than_a_turn_of_all() -> None:
    play = Play("stride", {client: Entitlement(100) for client in range(10)})
    play.run(50_000_000, list(range(10)))
    assert max(play.longest.values()) <= 10 * QUANTUM


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_shares_can_change_and_clients_go(scheduler: str) -> None:
    play = Play(scheduler, {client: Entitlement() for client in range(3)})
    play.run(10_000_000, [0, 1, 2])
    play.cpu.scheduler.set_shares(0, 200)
    play.cpu.remove(2)
    del play.had[2]
    before = dict(play.had)
    play.run(30_000_000, [0, 1])
    assert jain_index([(play.had[0] - before[0]) / 2, play.had[1] - before[1]]) > 0.99


@pytest.mark.parametrize(("settings", "complaint"), [
    ({"shares": 0}, "0 shares"), ({"reservation": 1001}, "reservation of 100.1 %"), ({"limit": 0}, "limit of 0 %"),
    ({"reservation": 500, "limit": 400}, "no less than the reservation"),
])
def test_what_cannot_be_is_said(settings: dict[str, int], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Entitlement(**settings)


def test_more_than_the_machine_is_not_to_be_reserved() -> None:
    cpu = Entitlements(SCHEDULERS["stride"]())
    cpu.add(0, Entitlement(reservation=700), 0)
    with pytest.raises(ConfigError, match="110 % of the machine"):
        cpu.add(1, Entitlement(reservation=400), 0)


def test_jain_index_of_known_cases() -> None:
    assert jain_index([1, 1, 1, 1]) == 1
    assert jain_index([1, 0, 0, 0]) == 0.25
