"""The engine alone: what it is asked to do it does, in order; what it saw it says, not too often; nothing kills it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.vmm.inspector import Inspection, back, moves
from hartvisor.tui.app.engine import FRAME_SECONDS, Engine
from hartvisor.tui.app.messages import Frame, Rested, Told
from hartvisor.tui.app.opening import Wish, open_all

PATIENCE = 30.0


class Ear:
    """Where an engine's messages go. acknowledges: frames are painted at once."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.times: list[float] = []
        self.acknowledges = True
        self.engine: Engine | None = None

    def post(self, message: Any) -> None:
        """A message has come."""
        self.heard.append(message)
        if isinstance(message, Frame):
            self.times.append(time.monotonic())
            if self.acknowledges and self.engine is not None:
                self.engine.painted()

    def of(self, kind: type) -> list[Any]:
        """The messages of a kind."""
        return [message for message in tuple(self.heard) if isinstance(message, kind)]

    def until(self, is_so: Callable[[], bool]) -> None:
        """Wait."""
        end = time.monotonic() + PATIENCE
        while not is_so():
            assert time.monotonic() < end, self.heard[-5:]
            time.sleep(0.002)


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def engine(ear: Ear, request: pytest.FixtureRequest) -> Iterator[Engine]:
    names = getattr(request, "param", ("kernel",))
    inspection = open_all(Wish(names=names, techniques=("two-stage",), memory="32M", store=Path("absent.db")))
    made = ear.engine = Engine(inspection, ear.post)
    made.start()
    yield made
    made.stop()
    inspection.close()


def rests(ear: Ear, count: int) -> None:
    ear.until(lambda: len(ear.of(Rested)) >= count)


def test_moves_are_made_in_order(ear: Ear, engine: Engine) -> None:
    for _ in range(5):
        engine.do(lambda inspection: moves.step(inspection.inspector))
        rests(ear, len(ear.of(Rested)) + 1)
    engine.do(lambda inspection: back.reverse_step(inspection.inspector))
    rests(ear, 6)
    assert engine.inspection.inspector.step == 4


def test_a_mistake_is_told_and_all_goes_on(ear: Ear, engine: Engine) -> None:
    def refuse(inspection: Inspection) -> None:
        raise ConfigError("not like this")

    engine.do(refuse)
    engine.do(lambda inspection: moves.goto(inspection.inspector, 100))
    rests(ear, 1)
    assert [told.text for told in ear.of(Told)] == ["not like this"]
    assert engine.inspection.inspector.step == 100


def test_a_view_that_fails_is_a_line(ear: Ear, engine: Engine) -> None:
    engine.look({"good": lambda inspection: inspection.inspector.step, "bad": lambda inspection: 1 // 0})
    ear.until(lambda: bool(ear.of(Frame)))
    frame = ear.of(Frame)[-1]
    assert frame.views == {"good": 0}
    assert "ZeroDivisionError" in frame.failures["bad"]


@pytest.mark.parametrize("engine", [("spin",)], indirect=True)
def test_twenty_frames_a_second_at_most(ear: Ear, engine: Engine) -> None:
    engine.look({"step": lambda inspection: inspection.inspector.step})
    engine.toggle()
    time.sleep(1.0)
    engine.toggle()
    rests(ear, 1)
    during = ear.times[1:-1]
    assert 5 <= len(during) <= 21
    assert all(after - before >= 0.9 * FRAME_SECONDS for before, after in pairwise(during))


@pytest.mark.parametrize("engine", [("spin",)], indirect=True)
def test_what_is_wanted_often_is_in_every_frame_and_the_rest_in_some(ear: Ear, engine: Engine) -> None:
    engine.look({"one": lambda inspection: inspection.inspector.step, "other": lambda inspection: 7}, ["one"])
    engine.toggle()
    time.sleep(1.0)
    engine.toggle()
    rests(ear, 1)
    frames = ear.of(Frame)
    assert all("one" in frame.views for frame in frames)
    whole = [time for time, frame in zip(ear.times, frames, strict=True) if "other" in frame.views]
    assert len(whole) < 0.6 * len(frames)
    assert all(after - before >= 0.18 for before, after in pairwise(whole[1:-1]))
    assert "other" in frames[0].views and "other" in frames[-1].views


@pytest.mark.parametrize("engine", [("spin",)], indirect=True)
def test_no_frame_before_the_last_is_painted(ear: Ear, engine: Engine) -> None:
    ear.acknowledges = False
    engine.look({"step": lambda inspection: inspection.inspector.step})
    engine.toggle()
    time.sleep(0.4)
    assert len(ear.of(Frame)) == 1
    engine.painted()
    ear.until(lambda: len(ear.of(Frame)) == 2)
    engine.toggle()
    rests(ear, 1)


@pytest.mark.parametrize("engine", [("spin",)], indirect=True)
def test_a_screen_that_is_slow_to_paint_is_left_time_for_keys(ear: Ear, engine: Engine) -> None:
    ear.acknowledges = False
    engine.look({"step": lambda inspection: inspection.inspector.step})
    ear.until(lambda: len(ear.of(Frame)) == 1)
    engine.painted()
    engine.toggle()
    ear.until(lambda: len(ear.of(Frame)) == 2)
    time.sleep(0.2)
    engine.painted()
    ear.until(lambda: len(ear.of(Frame)) == 3)
    assert ear.times[2] - ear.times[1] >= 0.36
    time.sleep(1.0)
    engine.painted()
    ear.until(lambda: len(ear.of(Frame)) == 4)
    assert ear.times[3] - ear.times[2] <= 1.4, "however slow, there are frames"
    engine.toggle()
    rests(ear, 1)


@pytest.mark.parametrize("engine", [("spin",)], indirect=True)
def test_a_long_way_back_can_be_broken_off(ear: Ear, engine: Engine) -> None:
    """Nothing is found on the way, so it is as long as the past."""
    engine.toggle()
    time.sleep(1.5)
    engine.toggle()
    rests(ear, 1)
    engine.do(lambda inspection: back.reverse_go_on(inspection.inspector))
    time.sleep(0.02)
    began = time.monotonic()
    engine.pause()
    rests(ear, 2)
    assert time.monotonic() - began < 1.0
    assert ear.of(Rested)[-1].halt.reason in ("PAUSED", "CHANGED")
    engine.do(lambda inspection: moves.step(inspection.inspector))
    rests(ear, 3)


def test_typing_wakes_a_guest_that_sleeps(ear: Ear, engine: Engine) -> None:
    """tern's shell waits for a line."""
    inspector = engine.inspection.inspector
    engine.toggle()
    ear.until(lambda: b"$" in inspector.output.upto(inspector.step))
    engine.type_to(0, b"echo woken\n")
    ear.until(lambda: b"\nwoken" in inspector.output.upto(inspector.step).replace(b"\r", b""))
    engine.pause()


@pytest.mark.parametrize("engine", [("kernel", "kernel")], indirect=True)
def test_a_guest_asleep_costs_nothing(ear: Ear, engine: Engine) -> None:
    """Two shells at their prompts: the thread sleeps too."""
    engine.go_all()
    ear.until(lambda: all(b"$" in each.output.upto(each.step) for each in engine.inspection.inspectors))
    time.sleep(0.3)
    before = time.process_time()
    time.sleep(1.0)
    assert time.process_time() - before < 0.5
    engine.pause_all()


def test_the_end_comes_at_once_while_guests_run(ear: Ear, engine: Engine) -> None:
    engine.toggle()
    time.sleep(0.2)
    began = time.monotonic()
    engine.stop()
    assert time.monotonic() - began < 1.0
    assert all(thread.name != "engine" for thread in threading.enumerate())
