"""What the hypervisor knew at a stage of its work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fact:
    """One thing that it knew, or did. note: what that means."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class MicroStep:
    """One stage. name: a word or two. title: what happens in it, in a sentence."""

    name: str
    title: str
    facts: tuple[Fact, ...]
