"""Handlers reach the next handler by jumps alone: a dispatch that became a call would grow the stack with every step.

The compiler makes a jump of a call in tail position only where no local variable's address may still be in use and the
arguments fit in registers; nothing tells when it does not. So the built extension is disassembled, whichever it is:
`make sanitize` runs this on its own.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterable

import pytest

from hartvisor.core.hart import hart

OURS = re.compile(r"__pyx_f_9hartvisor_4core_4hart_4hart_([a-z].*)")
FUNCTION = re.compile(r"[0-9a-f]+ <(\S+)>:$")
TRANSFER = re.compile(r"\t(?:bnd |notrack )*(call|j\w+)\s+(?:(\*\S+)|[0-9a-f]+ <([^+>]+)(?:\+0x[0-9a-f]+)?>)")
ADDITION = re.compile(r"\tadd\s+\S+,(%r\w+)$")

INDIRECT = "through a pointer"
"""What stands for the callee of `call *`."""


class Listing:
    """Which of the hart's functions jump and call where, by objdump's listing; a cold part belongs to its function."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.calls: dict[str, set[str]] = defaultdict(set)
        self.jumps: dict[str, set[str]] = defaultdict(set)
        self.leaving: set[str] = set()
        name, before = "", ""
        for line in lines:
            if heading := FUNCTION.search(line):
                name = _own_name(heading[1])
            elif name and (transfer := TRANSFER.search(line)):
                self._add(name, *transfer.groups(), before)
            before = line

    def _add(self, name: str, how: str, pointer: str | None, target: str | None, before: str) -> None:
        table = ADDITION.search(before)
        if how == "call":
            self.calls[name].add(INDIRECT if pointer else _own_name(target or ""))
        elif not pointer:
            self.jumps[name].add(_own_name(target or ""))
        elif not (table and pointer == f"*{table[1]}"):  # a jump into a switch's table stays in the function
            self.leaving.add(name)

    def executing(self) -> set[str]:
        """The handlers, and all that they call or jump to."""
        found = {name for name in self.calls.keys() | self.jumps.keys() | self.leaving if name.startswith("op_")}
        return _closure(found, lambda name: self.calls[name] | self.jumps[name])

    def dispatching(self) -> set[str]:
        """What ends in the next handler: it jumps through a pointer, or to a function that does."""
        sources = defaultdict(set)
        for name, targets in self.jumps.items():
            for target in targets:
                sources[target].add(name)
        return _closure(self.executing() & self.leaving, lambda name: sources[name])

    def lost(self) -> list[str]:
        """Calls that should be jumps, a line each."""
        wanted = self.dispatching() | {INDIRECT}
        return sorted(
            f"{name} calls {callee}" for name in self.executing() for callee in self.calls[name] if callee in wanted
        )


def _own_name(symbol: str) -> str:
    own = OURS.match(symbol)
    return own[1].removesuffix(".cold") if own else ""


def _closure(start: set[str], following: Callable[[str], set[str]]) -> set[str]:
    found, waiting = set(start), list(start)
    while waiting:
        fresh = {name for name in following(waiting.pop()) if name} - found
        found |= fresh
        waiting += fresh
    return found


@pytest.fixture(scope="module")
def listing() -> Listing:
    if platform.machine() != "x86_64" or shutil.which("objdump") is None:
        pytest.skip("needs objdump, and an x86-64 host: apt-get install binutils")
    command = ["objdump", "--disassemble", "--no-show-raw-insn", hart.__file__]
    return Listing(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines())


def test_no_handler_calls_what_it_should_jump_to(listing: Listing) -> None:
    assert listing.lost() == []


def test_the_disassembly_shows_the_handlers_and_their_dispatch(listing: Listing) -> None:
    """Else the test above would find nothing because it looked at nothing."""
    dispatching = listing.dispatching()
    assert {"op_addi", "op_lw", "op_beq", "op_csrrw", "load_slow", "jump_linking"} <= {
        name.partition(".")[0] for name in dispatching
    }
    assert sum(name.startswith("op_") for name in dispatching) > 200


def test_lost_tail_calls_are_told() -> None:
    """One through the op's pointer, one to a slow path; the call of what returns, and the switch, are in order."""
    ours = "__pyx_f_9hartvisor_4core_4hart_4hart_"
    text = f"""
0000000000001000 <{ours}op_good>:
    1000:\tcall   1100 <{ours}helper>
    1005:\tjmp    1200 <{ours}work_slow>
0000000000001010 <{ours}op_lost>:
    1010:\tcall   *0x10(%rsi)
0000000000001020 <{ours}op_lost_slow>:
    1020:\tcall   1200 <{ours}work_slow>
0000000000001100 <{ours}helper>:
    1100:\tadd    %rdx,%rax
    1103:\tjmp    *%rax
0000000000001200 <{ours}work_slow>:
    1200:\tadd    $0x10,%rsi
    1203:\tjmp    *%rax
"""
    assert Listing(text.splitlines()).lost() == ["op_lost calls through a pointer", "op_lost_slow calls work_slow"]
