"""`hartvisor images`: the guests there are; `hartvisor images fetch`: get one that does not ship."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from ...core.errors import ImageError
from ...guest import fetched_images
from ...guest import images as shipped_images
from ...guest.apt import AptError
from ...guest.debian import fetch as fetch_debian
from ..options import write_json
from ..parameters import JsonOption

app = typer.Typer(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})


@app.callback()
def images(context: typer.Context, json: JsonOption = None) -> None:
    """List the guests there are; any of their names can be given where a command takes an IMAGE."""
    if context.invoked_subcommand is not None:
        return
    rows = [*shipped_images(), *fetched_images()]
    if json is not None:
        write_json(json, {"images": [
            {"name": row.name, "description": row.description, "path": str(row.path), "built": row.path.is_file(),
             "append": row.append, "workload": row.workload} for row in rows]})
        return
    table = Table("name", "what it does", box=None, pad_edge=False, header_style="bold")
    for row in rows:
        absent = "" if row.path.is_file() else " (not there yet)" if row in fetched_images() else " (not built)"
        table.add_row(row.name, row.description + absent)
    Console().print(table)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to fetch: debian.")],
    again: Annotated[bool, typer.Option("--again", help="Fetch it anew, even if it is there.")] = False,
) -> None:
    """Fetch an image that does not ship into the user's cache folder.

    debian: the newest Linux 6.12 of Debian trixie, busybox, OpenSBI and U-Boot, by apt, which checks their signatures;
    about 140 MB are downloaded, 40 MB kept. Nothing of the system is changed.
    """
    known = [row.name for row in fetched_images()]
    if name not in known:
        raise ImageError(f"{name}: cannot be fetched; there is {', '.join(known)}")
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("debian", total=1.0)
        try:
            folder = fetch_debian(lambda what, part: bar.update(task, description=what, completed=part), again=again)
        except AptError as error:
            raise ImageError(f"debian cannot be fetched: {error}") from error
    print(f"debian is in {folder}; run: hartvisor run debian")
