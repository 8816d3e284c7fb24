"""Lab 4: the predictions, by reasoning."""

from __future__ import annotations

import re

from ...lab04_shadow.questions import ask_fills, ask_tables


def predict(seed: int) -> dict[str, int]:
    """A root, a table for each gigabyte and one for each two megabytes. A fill for the code's page, and one for each
    page stored to."""
    pages = [int(each, 16) for each in re.findall("0x[0-9a-f]+", ask_tables(seed))]
    first, stride, count = (int(each, 0) for each in re.findall("0x[0-9a-f]+|[0-9]+", ask_fills(seed))[:3])
    touched = {first + index * stride >> 12 for index in range(count)}
    return {"tables": 1 + len({page >> 30 for page in pages}) + len({page >> 21 for page in pages}),
            "shadow_fills": 1 + len(touched)}
