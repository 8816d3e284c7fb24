"""What can be typed behind `:`, and is in the palette (ctrl+p): a table of words, and what each does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from ...core.errors import OptionError
from ...core.isa.csrs import BY_NAME
from ...core.isa.registers import NUMBER
from ...core.vmm.exits import ExitReason, label
from ...core.vmm.inspector import Inspection, Moves, exit_moves, keeping, moves
from ...core.vmm.inspector.edit import register_number, set_register
from ...core.vmm.inspector.names import resolve
from ...core.vmm.inspector.stops import Breakpoint, Watched, Watchpoint

if TYPE_CHECKING:
    from .app import HartvisorApp

Run = Callable[["HartvisorApp", str], None]


class Command(NamedTuple):
    """A command. usage: its name and what it takes. about: what it does. run: with what was typed behind the name."""

    usage: str
    about: str
    run: Run

    @property
    def name(self) -> str:
        """Its first word."""
        return self.usage.split()[0]

    @property
    def takes(self) -> str:
        """What it takes."""
        return self.usage.partition(" ")[2]


def travel(text: str) -> Callable[[Inspection], Moves] | None:
    """`#step` or `!exit` as a move; None for anything else. Raises OptionError for what is no number."""
    if text[:1] not in ("#", "!"):
        return None
    digits = text[1:].replace(",", "").replace("_", "")
    try:
        number = int(float(digits[:-1]) * {"k": 10**3, "M": 10**6, "G": 10**9}[digits[-1]]
                     if digits[-1:] in ("k", "M", "G") else int(digits))
    except ValueError:
        what = "a step, such as #1000000 or #5M" if text[0] == "#" else "the number of an exit, such as !45"
        raise OptionError(f"{text}: {what} is needed") from None
    if text[0] == "#":
        return lambda inspection: moves.goto(inspection.inspector, number)
    return lambda inspection: exit_moves.goto_exit(inspection.inspector, number)


def _goto(app: HartvisorApp, text: str) -> None:
    app.goto(text)


def _break(app: HartvisorApp, text: str) -> None:
    def do(inspection: Inspection) -> None:
        address = resolve(inspection.inspector, text)
        is_set = inspection.inspector.toggle_breakpoint(address)
        app.tell(f"breakpoint at {text} {'set' if is_set else 'taken away'}")

    app.engine.do(do)


def _watch(app: HartvisorApp, text: str) -> None:
    def do(inspection: Inspection) -> None:
        inspector = inspection.inspector
        name = text.lstrip("$")
        if name in NUMBER:
            wanted = Watchpoint(Watched.GPR, NUMBER[name], name=name, vcpu=inspector.vcpu_index)
        elif name in BY_NAME:
            wanted = Watchpoint(Watched.CSR, BY_NAME[name].number, name=name, vcpu=inspector.vcpu_index)
        else:
            gva = resolve(inspector, text)
            gpa = inspector.target.translate(inspector.vcpu_index, gva)
            if gpa is None:
                raise OptionError(f"{text}: the guest's tables lead nowhere from {gva:#x}")
            wanted = Watchpoint(Watched.MEMORY, gpa, name=text)
        is_set = inspector.toggle_watchpoint(wanted)
        app.tell(f"watchpoint on {text} {'set' if is_set else 'taken away'}")

    app.engine.do(do)


def _set(app: HartvisorApp, text: str) -> None:
    name, _, value = text.partition(" ")
    if not value.strip():
        raise OptionError("set: give a register or CSR, and its value, such as set a0 0x10")

    def do(inspection: Inspection) -> None:
        app.tell(set_register(inspection.inspector, register_number(name), value.strip()))

    app.engine.do(do)


def _clear(app: HartvisorApp, text: str) -> None:
    def do(inspection: Inspection) -> None:
        inspection.inspector.breakpoints = ()
        inspection.inspector.watchpoints = ()
        app.tell("no breakpoints, no watchpoints")

    app.engine.do(do)


def _list_stops(app: HartvisorApp, text: str) -> None:
    def do(inspection: Inspection) -> None:
        inspector = inspection.inspector

        def place(each: Breakpoint) -> str:
            return f"{each.address:#x} {inspector.symbols.describe(each.address)}".rstrip()

        lines = [f"breakpoint {place(each)}" for each in inspector.breakpoints]
        lines += [f"watchpoint {each.name or hex(each.where)} ({each.watched.value})" for each in inspector.watchpoints]
        app.tell("\n".join(lines) or "nothing is set to stop at")

    app.engine.do(do)


def _until(app: HartvisorApp, text: str) -> None:
    reasons = {label(reason): int(reason) for reason in ExitReason if reason is not ExitReason.REFLECTED}
    if text == "reflected":
        wanted: tuple[int, ...] = tuple(range(ExitReason.REFLECTED, len(exit_moves.ANY)))
    elif text in reasons:
        wanted = (reasons[text],)
    else:
        raise OptionError(f"until {text}: no such reason to exit; there are {', '.join([*reasons, 'reflected'])}")
    app.engine.do(lambda inspection: exit_moves.next_exit(inspection.inspector, wanted))


def _all(is_going: bool) -> Run:
    def run(app: HartvisorApp, text: str) -> None:
        app.engine.go_all() if is_going else app.engine.pause_all()

    return run


def _snapshot(app: HartvisorApp, text: str) -> None:
    name, _, note = (part.strip() for part in text.partition(":"))

    def do(inspection: Inspection) -> None:
        node = keeping.tree_of(inspection.inspector).save(name, note)
        app.tell(f"{node.name} of {inspection.inspector.name}, at step {node.step:,}")

    app.engine.do(do)


def _restore(app: HartvisorApp, text: str) -> None:
    app.engine.do(lambda inspection: keeping.restore(
        inspection.inspector, keeping.tree_of(inspection.inspector).named(text).number))


def _theme(app: HartvisorApp, text: str) -> None:
    if text not in app.available_themes:
        raise OptionError(f"theme {text}: there are {', '.join(sorted(app.available_themes))}")
    app.theme = text


def _help(app: HartvisorApp, text: str) -> None:
    app.action_help()


def _tour(app: HartvisorApp, text: str) -> None:
    app.start_tour()


def _open(app: HartvisorApp, text: str) -> None:
    app.open_recording(Path(text), 0)


def _quit(app: HartvisorApp, text: str) -> None:
    app.exit()


COMMANDS: Final = (
    Command("goto ADDRESS|#STEP|!EXIT", "show an address, or be at a step or an exit", _goto),
    Command("break ADDRESS", "set a breakpoint, or take it away", _break),
    Command("watch REGISTER|CSR|ADDRESS", "set a watchpoint, or take it away", _watch),
    Command("set REGISTER|CSR VALUE", "change a register or CSR: another future begins here", _set),
    Command("stops", "list breakpoints and watchpoints", _list_stops),
    Command("clear", "take all breakpoints and watchpoints away", _clear),
    Command("until REASON", "to the next exit for a reason, such as shadow-fill", _until),
    Command("run", "let all VMs run", _all(True)),
    Command("pause", "pause all VMs", _all(False)),
    Command("open RECORDING", "a recorded run as one more VM", _open),
    Command("snapshot NAME[: NOTE]", "give this moment a name", _snapshot),
    Command("restore NAME", "to a named snapshot, on whatever history it lies", _restore),
    Command("theme NAME", "another theme, such as textual-light", _theme),
    Command("tour", "the guided tour", _tour),
    Command("help", "all keys and commands", _help),
    Command("quit", "leave", _quit),
)


def run_command(app: HartvisorApp, line: str) -> None:
    """Do what a line says. Raises OptionError for what is no command, or lacks something."""
    name, _, rest = line.strip().partition(" ")
    command = next((each for each in COMMANDS if each.name == name), None)
    if command is None:
        close = [each.name for each in COMMANDS if each.name.startswith(name)]
        if len(close) != 1:
            raise OptionError(f"{name}: no such command; there are {', '.join(each.name for each in COMMANDS)}")
        command = next(each for each in COMMANDS if each.name == close[0])
    if command.takes and not rest.strip():
        raise OptionError(f"{command.name}: give {command.takes}")
    command.run(app, rest.strip())
