"""Every test of the debugger's side hangs up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .client import OPEN


@pytest.fixture(autouse=True)
def _hang_up() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()
