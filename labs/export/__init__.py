"""Results in the formats of those who collect them; a module each, and the table of them here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ..judge.verdict import LabResult
from .autolab import to_autolab
from .github_classroom import to_github_classroom
from .gradescope import to_gradescope
from .junit import to_junit
from .prairielearn import to_prairielearn

EXPORTERS: Final[dict[str, Callable[[LabResult], str]]] = {
    "gradescope": to_gradescope, "prairielearn": to_prairielearn, "autolab": to_autolab,
    "github-classroom": to_github_classroom, "junit": to_junit}
"""By the name that --format takes: a result to the file's text."""
