"""Lab 8: the predictions, by reasoning."""

from __future__ import annotations

import re

from ...lab08_migration.questions import ask_pages, ask_rounds


def predict(seed: int) -> dict[str, int]:
    """Each round is shorter than the one before by what the guest is slower than the link. A guest that is faster
    has all of its working set dirty after each."""
    first, link, every = (int(each) for each in re.findall("[0-9]+", ask_rounds(seed))[:3])
    total, hot, _, count = (int(each) for each in re.findall("[0-9]+", ask_pages(seed))[:4])
    factor = every // link
    return {"four_rounds": sum(first // factor ** number for number in range(4)),
            "busy_pages": total + (count - 1) * hot}
