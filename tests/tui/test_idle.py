"""When a guest is idle: by its own time, and by what it does."""

from __future__ import annotations

import pytest

from hartvisor.core.devices.console import ConsoleEnd
from hartvisor.tui.idle import IDLE_SECONDS, TICKS_PER_SECOND, IdleWatch

STEPS_PER_SECOND = 10 * TICKS_PER_SECOND


class Sleeper:
    """A guest that spends time as it is told."""

    def __init__(self) -> None:
        self.console = ConsoleEnd()
        self.console.refill = lambda: b""
        self.steps = self.active_steps = 0

    @property
    def idle_ticks(self) -> int:
        return (self.steps - self.active_steps) // 10

    def spend(self, awake: int) -> None:
        """A second, so many steps of it awake."""
        self.steps += STEPS_PER_SECOND
        self.active_steps += awake


def seconds_until_idle(guest: Sleeper, watch: IdleWatch, awake: int = 1000, most: int = 200) -> int:
    """How many seconds like this the watch lets pass; `most` if it is never content."""
    for second in range(1, most):
        guest.spend(awake)
        if watch.is_idle():
            return second
    return most


def test_a_guest_that_only_sleeps_is_idle_after_a_while() -> None:
    guest = Sleeper()
    watch = IdleWatch(guest)
    assert guest.console.waiting == 0  # it looked for input, and found the end
    assert seconds_until_idle(guest, watch) == IDLE_SECONDS + 1


@pytest.mark.parametrize("awake", [STEPS_PER_SECOND // 10, STEPS_PER_SECOND])
def test_one_that_works_is_not(awake: int) -> None:
    guest = Sleeper()
    watch = IdleWatch(guest)
    assert guest.console.waiting == 0
    assert seconds_until_idle(guest, watch, awake) == 200


def test_nor_one_whose_input_has_not_ended() -> None:
    guest = Sleeper()
    assert seconds_until_idle(guest, IdleWatch(guest)) == 200


def test_a_line_on_the_console_begins_the_wait_anew() -> None:
    guest = Sleeper()
    watch = IdleWatch(guest)
    assert guest.console.waiting == 0
    for _ in range(IDLE_SECONDS - 1):
        guest.spend(0)
        assert not watch.is_idle()
    guest.console.write(b"still here\n")
    guest.spend(0)
    assert not watch.is_idle()
    assert seconds_until_idle(guest, watch, 0) == IDLE_SECONDS
