"""The test finisher."""

from __future__ import annotations

import pytest

from hartvisor.core.devices.device import DeviceFault
from hartvisor.core.devices.test_finisher import Finish, Outcome, TestFinisher


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        (0x5555, Finish(Outcome.PASS)),
        (0x3333 | 7 << 16, Finish(Outcome.FAIL, 7)),
        (0x3333, Finish(Outcome.FAIL, 0)),
        (0x7777, Finish(Outcome.RESET)),
    ],
)
def test_a_known_word_finishes(word: int, finish: Finish) -> None:
    seen: list[Finish] = []
    TestFinisher(seen.append).store(0, 4, word)
    assert seen == [finish]


@pytest.mark.parametrize(("offset", "word"), [(0, 0), (0, 0x1234), (4, 0x5555), (0xFFC, 0x5555)])
def test_other_words_and_offsets_are_ignored(offset: int, word: int) -> None:
    seen: list[Finish] = []
    TestFinisher(seen.append).store(offset, 4, word)
    assert seen == []


def test_loads_give_zero() -> None:
    assert TestFinisher(lambda finish: None).load(0, 4) == 0


@pytest.mark.parametrize("size", [1, 8])
def test_bytes_and_double_words_are_not_decoded(size: int) -> None:
    finisher = TestFinisher(lambda finish: None)
    with pytest.raises(DeviceFault):
        finisher.load(0, size)
    with pytest.raises(DeviceFault):
        finisher.store(0, size, 0x55)


def test_there_is_no_state_to_save() -> None:
    finisher = TestFinisher(lambda finish: None)
    finisher.restore(finisher.save())
    assert finisher.save() == {}
