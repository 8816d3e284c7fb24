"""Lab 8: the reference tests."""

from __future__ import annotations

from typing import Any

PAGES = 40


def test_what_is_stored_meanwhile_arrives(subject: Any) -> None:
    """In the first round, and in the last."""
    found = subject.migrate(PAGES, [[10, 5, 200], [12, 9, 201], [30, 6, 202], [35, 10, 203], [41, 7, 204],
                                     [42, 5, 205], [44, 8, 206]], [])
    assert found["target"] == found["source"]
    assert found["source"][5] == 205


def test_what_is_lost_is_sent_again(subject: Any) -> None:
    """The first page, and the last."""
    found = subject.migrate(PAGES, [], [0, 39, 41])
    assert found["target"] == found["source"]


def test_rounds_get_smaller(subject: Any) -> None:
    """Few are left for the pause."""
    found = subject.migrate(PAGES, [[2 * n, n, 100 + n] for n in range(20)], [])
    assert found["paused"] <= 4


def test_a_guest_that_is_too_fast(subject: Any) -> None:
    """It stops, all the same."""
    found = subject.migrate(PAGES, [[n, n % 20, n % 256] for n in range(3000)], [])
    assert found["rounds"] <= 20
    assert found["target"] == found["source"]


def test_the_state_is_that_of_the_pause(subject: Any) -> None:
    """All stores that were done."""
    found = subject.migrate(PAGES, [[38, 1, 1], [39, 2, 2]], [])
    assert found["state"] == found["stores"]
