"""Lab 9: the predictions, by reasoning."""

from __future__ import annotations

import re

from ...lab09_twostage.questions import SIZES, ask_exits, ask_reads


def predict(seed: int) -> dict[str, int]:
    """Each entry of the guest's costs itself and a walk of the second stage; the data, one more such walk. A fault for
    the code's page, one for the root's, and one for each page stored to."""
    text = ask_reads(seed)
    first, tables, second = (SIZES.index(each) for each in re.findall(r"\d \w+iB", text))
    entries, way, last = (3 - level for level in (first, tables, second))
    numbers = [int(each, 0) for each in re.findall("0x[0-9a-f]+|[0-9]+", ask_exits(seed))]
    start, stride, count = numbers[-3:]
    touched = {start + index * stride >> 12 for index in range(count)}
    return {"entries_read": entries * (way + 1) + last, "gstage_faults": 2 + len(touched)}
