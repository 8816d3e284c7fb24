"""The trace that a submission leaves at the exits, small enough to keep: what it asked and decided, exit by exit.

One token for each call of the student's code (an exit, or a question of ours): all that it asked of the hypervisor on
the way, and what it decided. Names, comments and layout of the code are not in it. Of every run of GRAM tokens a hash
is made, and of the hashes the least are kept, so that two sketches tell how much two traces have in common (A. Broder,
"On the Resemblance and Containment of Documents", 1997).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from .session import Log

GRAM: Final = 3
KEPT: Final = 48
"""Hashes of a sketch."""
_HASH: Final = 4
"""Their bytes."""
_ASKS: Final = b'{"ask":'
"""How a question begins; anything else ends a call."""


def sketch(logs: Iterable[Log]) -> tuple[int, ...]:
    """The least hashes of a check's trace, ascending."""
    found: set[int] = set()
    for log in logs:
        tokens = _tokens(log)
        for start in range(max(1, len(tokens) - GRAM + 1) if tokens else 0):
            found.add(int.from_bytes(_hash(b"".join(tokens[start:start + GRAM])), "big"))
    return tuple(sorted(found)[:KEPT])


def _tokens(log: Log) -> list[bytes]:
    tokens, state = [], hashlib.blake2b(digest_size=_HASH)
    for answer in log.answers[1:]:  # the first was to the loading
        if not isinstance(answer, bytes):
            continue  # its process died: that is no decision
        state.update(answer)
        if not answer.startswith(_ASKS):
            tokens.append(state.digest())
            state = hashlib.blake2b(digest_size=_HASH)
    return tokens


def _hash(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=_HASH).digest()


def resemblance(one: Sequence[int], other: Sequence[int], ignored: frozenset[int] = frozenset()) -> tuple[int, int]:
    """Of two sketches' hashes, but for those that are ignored: how many both have, and how many there are.

    Only as far as both sketches reach: one that is full says nothing of what lies beyond its end.
    """
    reach = min((each[-1] for each in (one, other) if len(each) >= KEPT), default=1 << 8 * _HASH)
    mine, theirs = ({each for each in sketched if each <= reach} - ignored for sketched in (one, other))
    return len(mine & theirs), len(mine | theirs)
