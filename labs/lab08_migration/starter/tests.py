"""Your tests. Each test_* function is given a migration that may be right or broken, and asserts what must be so.

subject.migrate(pages, stores, lost): moves a guest of so many pages (page n begins with the byte n + 1), at most 256.
    stores: [after, page, byte], ascending: when `after` pages have been put on the link, the guest stores `byte` to the
    beginning of `page`, unless it is paused by then. lost: which pages on the link, counted from 0, do not arrive.
It returns a dict: "source", "target": the first byte of each page on either side, when all is over. "sent": pages put
on the link, "paused": of them, in the pause. "rounds". "stores": how many the guest did; "state": how many it had done
according to the state that was sent.
"""

from __future__ import annotations

# def test_a_guest_that_does_nothing(subject):
#     found = subject.migrate(10, [], [])
#     assert found["target"] == list(range(1, 11))
