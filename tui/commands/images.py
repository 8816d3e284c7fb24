"""`hartvisor images`: the guests that ship."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from ...guest import images as shipped_images
from ..options import write_json
from ..parameters import JsonOption


def images(json: JsonOption = None) -> None:
    """List the guests that ship; any of their names can be given where a command takes an IMAGE."""
    rows = shipped_images()
    if json is not None:
        write_json(json, {"images": [
            {"name": row.name, "description": row.description, "path": str(row.path), "built": row.path.is_file(),
             "append": row.append, "workload": row.workload} for row in rows]})
        return
    table = Table("name", "what it does", box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(row.name, row.description if row.path.is_file() else row.description + " (not built)")
    Console().print(table)
