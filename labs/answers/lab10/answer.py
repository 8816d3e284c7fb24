"""Lab 10: the reference answer."""

from __future__ import annotations

from bisect import bisect_right

from hartvisor.labs.kit.replay import ASKED, TYPED, GuestEvent, ReplayMachine

STONES = 12
FIRST_STRIDE = 128
NEAR = 24
"""Going back step by step, the next so many cost no more than this."""


def packed(number: int) -> bytes:
    """Seven bits a byte, lowest first; the last has bit 7 clear."""
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*found, number))


class Reader:
    """Takes a log apart."""

    def __init__(self, log: bytes) -> None:
        self.log = log
        self.at = 0

    def number(self) -> int:
        """What `packed` made."""
        value = shift = 0
        while True:
            byte = self.log[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def data(self, length: int) -> bytes:
        """The next bytes."""
        self.at += length
        return self.log[self.at - length:self.at]


class Recorder:
    """Decides what of a run must be written down."""

    def __init__(self) -> None:
        self.last = 0

    def log_event(self, event: GuestEvent) -> bytes:
        """An entry: length and kind, for what was typed the steps since the last such, and the bytes."""
        if event.kind == ASKED:
            return packed(2 * len(event.data)) + event.data
        if event.kind != TYPED:
            return b""
        gap, self.last = event.step - self.last, event.step
        return packed(2 * len(event.data) + 1) + packed(gap) + event.data


class Player:
    """Runs a recorded guest again, to any step, forwards or backwards."""

    def use(self, machine: ReplayMachine, log: bytes) -> None:
        """Read the log; what the guest will ask for can be supplied at once."""
        self.machine = machine
        self.steps: list[int] = []
        self.pieces: list[bytes] = []
        reader, step = Reader(log), 0
        while reader.at < len(log):
            head = reader.number()
            if head & 1:
                step += reader.number()
                self.steps.append(step)
                self.pieces.append(reader.data(head >> 1))
            else:
                machine.supply(reader.data(head >> 1))
        self.given = 0
        self.stride = FIRST_STRIDE
        self.near: tuple[int, int] | None = None
        self.settle(0)
        self.stones = {0: machine.checkpoint()}

    def settle(self, here: int) -> None:
        """Give what was typed at this step."""
        while self.given < len(self.steps) and self.steps[self.given] == here:
            self.machine.type(self.pieces[self.given])
            self.given += 1

    def replay(self, step: int) -> None:
        """Be where the guest was after `step` steps."""
        here = self.machine.step()
        stones = [each for each in self.all_stones() if each[0] <= step]
        stone, number = max(stones)
        if here > step or stone > here:
            self.machine.restore(number)
            here, self.given = stone, bisect_right(self.steps, stone)
        while here < step:
            limit = min(step, (here // self.stride + 1) * self.stride)
            if self.given < len(self.steps):
                limit = min(limit, self.steps[self.given])
            self.machine.run(limit - here)
            here = limit
            self.settle(here)
            if here % self.stride == 0 and here not in self.stones:
                self.put_stone(here)

    def all_stones(self) -> list[tuple[int, int]]:
        """Steps and numbers of checkpoints."""
        return [*self.stones.items(), *([self.near] if self.near else [])]

    def put_stone(self, here: int) -> None:
        """A checkpoint; when there are many, every other one goes."""
        if len(self.stones) >= STONES:
            self.stride *= 2
            for step in [each for each in self.stones if each % self.stride]:
                self.machine.forget(self.stones.pop(step))
            if here % self.stride:
                return
        self.stones[here] = self.machine.checkpoint()

    def reverse_step(self) -> None:
        """One step back: whoever goes back once will do so again, so a checkpoint is left a little before."""
        target = self.machine.step() - 1
        if target < 0:
            return
        if target - max(each for each, _ in self.all_stones() if each <= target) > NEAR:
            self.replay(target - NEAR)
            if self.near:
                self.machine.forget(self.near[1])
            self.near = (target - NEAR, self.machine.checkpoint())
        self.replay(target)
