"""The `hartvisor` command: what its subcommands are, and how a mistake ends.

A user's mistake is one line on standard error and exit status 2; Ctrl-C is 130; a reader that closed our output is no
error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

import typer

from ..core.errors import HartvisorError
from .commands.asm import asm
from .commands.bench import bench
from .commands.compare import compare
from .commands.control import balloon, console, down, guest, metrics, pause, ps, resume, stop, top
from .commands.disasm import disasm
from .commands.grade_class import grade_class_command
from .commands.images import app as images
from .commands.lab import app as lab
from .commands.machine import machine
from .commands.migrate import app as migrate
from .commands.migrate import receive
from .commands.replay import replay
from .commands.run import run
from .commands.snapshot import app as snapshot
from .commands.trace import trace
from .commands.tui import tui
from .commands.up import up

EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130

# typer carries its own copy of click in some versions and depends on click in others; this names either's base class.
_UsageError = typer.BadParameter.__bases__[0]
_ClickException: type[Exception] = _UsageError.__bases__[0]

app = typer.Typer(
    name="hartvisor",
    help="A virtual machine monitor you can see through: one unmodified guest, virtualized three ways, "
    "on one deterministic machine.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run)
app.command("compare")(compare)
app.command("tui")(tui)
app.command("machine")(machine)
app.command("replay")(replay)
app.add_typer(snapshot, name="snapshot")
app.command("trace")(trace)
app.command("up")(up)
app.command("down")(down)
app.command("ps")(ps)
app.command("top")(top)
app.command("console")(console)
app.command("stop")(stop)
app.command("pause")(pause)
app.command("resume")(resume)
app.command("balloon")(balloon)
app.command("metrics")(metrics)
app.add_typer(guest, name="guest")
app.add_typer(migrate, name="migrate")
app.command("receive")(receive)
app.add_typer(images, name="images")
app.add_typer(lab, name="lab")
app.command("grade-class")(grade_class_command)
app.command("disasm")(disasm)
app.command("asm")(asm)
app.command("bench")(bench)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"hartvisor {version('hartvisor')}")
        raise typer.Exit


@app.callback()
def _options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """Options before the command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (default: the process's own); returns the exit status."""
    try:
        status = app(args=arguments, standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except HartvisorError as error:
        return _mistake(str(error))
    except _ClickException as error:
        if not str(error) and type(error).__name__ == "NoArgsIsHelpError":
            return EXIT_MISTAKE  # the help was printed
        return _mistake(error.format_message() if hasattr(error, "format_message") else str(error))
    except typer.Exit as done:
        return done.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("hartvisor: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter complains as it flushes
        return 0


def _mistake(message: str) -> int:
    """Tell the user, in one line."""
    print("hartvisor: " + " ".join(message.replace("Value error, ", "").split()), file=sys.stderr)
    return EXIT_MISTAKE


if __name__ == "__main__":
    sys.exit(main())
