"""After a cut during the commit: a person names the owner, and each side does what follows from that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...errors import ConfigError
from ..recipe import Recipe
from ..vm import Vm
from .records import SOURCE, TARGET, Phase, Record, Records, put_pages


def revive(records: Records, migration: str, side: str, output: Callable[[bytes], None],
           technique: str | None = None) -> tuple[Vm, Recipe]:
    """The VM that a side has written down. Raises ConfigError or DamagedError."""
    recipe, bodies, state = records.load(migration, side)
    recipe = recipe.under(technique or recipe.technique)
    vm = recipe.blank(output)
    for body in bodies:
        put_pages(vm, body)
    vm.restore(state)
    return vm, recipe


def decide(records: Records, migration: str, owner: str, *, is_forced: bool = False) -> list[Record]:
    """Carry out what a person decided, on every side that has its notes here; returns those whose VM is now to run.

    is_forced: let the source go on although it gave the VM up: only where the target is lost. Raises ConfigError.
    """
    if owner not in (SOURCE, TARGET):
        raise ConfigError(f"the owner is source or target, not {owner!r}")
    notes = [note for note in (records.find(migration, side) for side in (SOURCE, TARGET)) if note is not None]
    if not notes:
        known = ", ".join(sorted({note.migration for note in records.all()})) or "none"
        raise ConfigError(f"no migration {migration!r} is noted in {records.folder}; there are: {known}")
    owners = []
    for note in notes:
        if note.phase is Phase.OWNED:
            if note.side != owner:
                raise ConfigError(f"{migration}: the VM has run on the {note.side}'s side since; it is no longer free")
            raise ConfigError(f"{migration}: the {note.side} has the VM already")
        if note.side == owner:
            if note.phase is Phase.GIVEN and not is_forced:
                raise ConfigError(f"{migration}: this side gave the VM up, and the target may run it; resume it there, "
                                  "or, if the target is lost for good, give --force")
            owners.append(note)
    for note in notes:
        if note.side == owner:
            records.load(migration, note.side)
            records.note(replace(note, phase=Phase.OWNED))
        else:
            records.forget(migration, note.side)
    return owners
