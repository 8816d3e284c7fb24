"""Lab 7: the predictions, by reasoning."""

from __future__ import annotations

import re

from ...lab07_snapshots.questions import ask_copies, ask_pages


def predict(seed: int) -> dict[str, int]:
    """A copy for each page stored to before the second snapshot, and for each stored to behind it. R and B differ in
    what was stored to between them; what came behind B is in neither."""
    first, stride, count, middle = (int(each, 0) for each in re.findall("0x[0-9a-f]+|[0-9]+", ask_copies(seed))[:4])
    pages = [first + index * stride >> 12 for index in range(count)]
    lists = re.findall(r"(?:pages|to)\s+((?:\d+, )*\d+)[;.]", ask_pages(seed))
    one, two = (set(each.split(", ")) for each in lists[:2])
    return {"pages_copied": len(set(pages[:middle])) + len(set(pages[middle:])), "pages_of_b": len(one | two)}
