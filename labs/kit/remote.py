"""Objects that live in the parent: calling them asks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..jail.codec import travels


def _nobody(name: str, arguments: tuple[Any, ...]) -> Any:
    raise RuntimeError(f"{name}: there is no hypervisor here to answer; run your code with: hartvisor lab test")


ask: Callable[[str, tuple[Any, ...]], Any] = _nobody
"""How the parent is asked; the child's loop sets it."""


@travels
@dataclass(frozen=True)
class Subject:
    """What your tests test: a version of the lab's code, right or broken. Call on it what you wrote yourself."""

    name: str = "subject"

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method.startswith("_"):
            raise AttributeError(method)
        return lambda *arguments: ask(f"{self.name}.{method}", arguments)
