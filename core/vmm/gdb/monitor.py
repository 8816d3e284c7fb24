"""What `monitor ...` tells: things that GDB has no command of its own for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ...errors import HartvisorError
from ...isa.causes import describe as describe_cause
from ...isa.csr import Csr, Field
from ...isa.csrs import BY_NAME
from ...isa.paging import PTE_A, PTE_D, PTE_G, PTE_R, PTE_U, PTE_V, PTE_W, PTE_X, ppn
from .target import Target

_FLAGS: Final = ((PTE_D, "D"), (PTE_A, "A"), (PTE_G, "G"), (PTE_U, "U"), (PTE_X, "X"), (PTE_W, "W"), (PTE_R, "R"),
                 (PTE_V, "V"))

HELP: Final = """\
monitor help             this
monitor info step        the clock, of each hart and in all
monitor exits            how often the hypervisor was entered, by reason
monitor technique        what runs the guest
monitor walk ADDRESS     how the guest's tables translate a virtual address
monitor csr NAME         a CSR with its fields
monitor stats            instructions, traps, page walks and translation misses
monitor goto STEP        be where the clock shows STEP (then: maintenance flush register-cache)
"""


def answer(target: Target, hart: int, text: str) -> str:
    """The reply to `monitor text`, about a hart where it is about one; one line for what nobody understands."""
    words = text.split()
    if words[:1] == ["info"]:
        words = words[1:]
    name, arguments = (words[0], words[1:]) if words else ("help", [])
    command = _COMMANDS.get(name)
    if command is None or len(arguments) != command[0]:
        return f"no such command: monitor {text}; monitor help tells what there is\n"
    try:
        return command[1](target, hart, arguments)
    except (HartvisorError, ValueError) as error:
        return f"monitor {text}: {error}\n"


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise ValueError("a number is needed, such as 1000000 or 0x80200000") from None


def _help(target: Target, hart: int, arguments: list[str]) -> str:
    return HELP


def _step(target: Target, hart: int, arguments: list[str]) -> str:
    lines = [f"step {target.steps:,}"]
    timeline = target.timeline
    if timeline is not None:
        lines[0] += f"; the past begins at {timeline.start:,}, what was seen ends at {timeline.end:,}"
    lines += [f"hart {index}: {state.steps:,}, of which asleep {state.idle_steps:,}"
              for index, state in enumerate(target.harts)]
    return "\n".join(lines) + "\n"


def _exits(target: Target, hart: int, arguments: list[str]) -> str:
    exits = target.exits()
    if not exits:
        return "no exits: nothing is virtualized, or nothing has happened yet\n"
    return "".join(f"{count:>12,}  {reason}\n" for reason, count in sorted(exits.items(), key=lambda item: -item[1]))


def _technique(target: Target, hart: int, arguments: list[str]) -> str:
    return f"{target.technique}\n"


def _walk(target: Target, hart: int, arguments: list[str]) -> str:
    gva = _number(arguments[0])
    found = target.walk(hart, gva)
    lines = [f"{gva:#x}, as {target.mode_name(hart)}-mode's tables have it:"]
    first_level = found.level + len(found.levels) - 1 if found.cause is None else len(found.levels) - 1
    for depth, (place, pte) in enumerate(found.levels):
        flags = "".join(letter if pte & bit else "-" for bit, letter in _FLAGS)
        level = f"level {first_level - depth}: " if found.cause is None else ""
        lines.append(f"  {level}entry at {place:#x}: {pte:#x}, {flags}, page {ppn(pte) << 12:#x}")
    if found.cause is not None:
        lines.append(f"  no translation: {describe_cause(found.cause).lower()}")
    elif not found.levels:
        lines.append(f"  {found.gpa:#x}, without a table that we walk")
    else:
        lines.append(f"  {found.gpa:#x}")
    return "\n".join(lines) + "\n"


def _csr(target: Target, hart: int, arguments: list[str]) -> str:
    csr = BY_NAME.get(arguments[0])
    if csr is None or csr not in target.csrs:
        raise ValueError(f"the guest has no CSR {arguments[0]}")
    value = target.read_csr(hart, csr.number)
    lines = [f"{csr.name} ({csr.number:#x}, {csr.description}): {value:#x}"]
    lines += [f"  {field.name:<8} {(value & field.mask) >> field.lo:#x}  {field.description}"
              for field in _fields(csr)]
    return "\n".join(lines) + "\n"


def _fields(csr: Csr) -> list[Field]:
    return sorted(csr.fields, key=lambda field: -field.lo)


def _stats(target: Target, hart: int, arguments: list[str]) -> str:
    rows = [("instructions", sum(each.steps - each.idle_steps - each.guest_traps for each in target.harts)),
            ("traps", sum(each.guest_traps for each in target.harts)),
            ("page walks", sum(each.walks for each in target.harts)),
            ("entries read by them", sum(each.walk_reads for each in target.harts)),
            ("translation misses", sum(each.tlb_misses for each in target.harts))]
    return "".join(f"{count:>16,}  {name}\n" for name, count in rows)


def _goto(target: Target, hart: int, arguments: list[str]) -> str:
    if target.timeline is None:
        raise ValueError("this guest's past is not kept")
    target.goto(_number(arguments[0]))
    return f"step {target.steps:,}, pc {target.harts[hart].pc:#x}; now: maintenance flush register-cache\n"


_COMMANDS: Final[dict[str, tuple[int, Callable[[Target, int, list[str]], str]]]] = {
    "help": (0, _help), "step": (0, _step), "steps": (0, _step), "exits": (0, _exits), "technique": (0, _technique),
    "walk": (1, _walk), "csr": (1, _csr), "stats": (0, _stats), "goto": (1, _goto)}
"""Name to the number of arguments and what answers."""
