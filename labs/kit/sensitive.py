"""What Popek and Goldberg ask of an instruction, and a machine to find it out with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from ..jail.codec import travels
from . import remote

TRAPS: Final = "traps"
"""It traps, and does nothing else."""
CONTROL: Final = "control"
"""It executes, and may change the mode or another of the supervisor's resources."""
BEHAVIOUR: Final = "behaviour"
"""It executes, changes none, but what comes of it depends on them."""
INNOCUOUS: Final = "innocuous"
"""It executes, and has nothing to do with them."""

MODE: Final = "mode"
STATE: Final = "state"


@travels
@dataclass(frozen=True)
class Instruction:
    """An instruction of the table's. writes: of the six CSR instructions whether this one writes its CSR (csrrs,
    csrrc with x0 and csrrsi, csrrci with 0 do not); of others False."""

    name: str
    writes: bool = False


@travels
@dataclass(frozen=True)
class State:
    """A hart, as far as a box shows it. mode: 0 user, 1 supervisor. csrs: sstatus, sie, stvec, sscratch, sepc, scause
    and stval, by number."""

    mode: int
    pc: int
    gprs: list[int] = field(default_factory=lambda: [0] * 32)
    csrs: dict[int, int] = field(default_factory=dict)


@travels
@dataclass(frozen=True)
class Outcome:
    """What came of an instruction. cause: the exception that it raised, or None; then `state` is the hart behind it."""

    cause: int | None
    state: State


@travels
@dataclass(frozen=True)
class Box:
    """A machine of which nothing is known."""

    name: str = "box"

    def run(self, word: int, state: State) -> Outcome:
        """Make its hart so, and have it execute one instruction."""
        found: Outcome = remote.ask(f"{self.name}.run", (word, state))
        return found


@travels
@dataclass(frozen=True)
class Silent:
    """A sensitive instruction that does not trap in user mode: `word & mask == match`. needs: what its doing there
    depends on: MODE alone (in user mode it does what a user's should), or STATE, the supervisor's."""

    name: str
    match: int
    mask: int
    needs: str


@travels
@dataclass(frozen=True)
class Patched:
    """A program that can be deprivileged. words: as many as before. originals: what stood where they differ, by index;
    the hypervisor looks there when such a word traps, and does what the original should have done."""

    words: list[int]
    originals: dict[int, int]
