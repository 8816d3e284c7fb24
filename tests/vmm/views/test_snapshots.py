"""The tree of named snapshots, as it is drawn."""

from __future__ import annotations

from hartvisor.core.machine.board import CONSOLE
from hartvisor.core.vmm.inspector import Inspection, Inspector, keeping
from hartvisor.core.vmm.snapshot_tree import SnapshotTree
from hartvisor.core.vmm.timeline import Timeline
from hartvisor.core.vmm.views.snapshots import RowKind, SnapshotsView, view_snapshots

from .support import do, look, run, tern, unchanged

SIGNS = {RowKind.START: "|", RowKind.SAVED: "*", RowKind.NOW: "@", RowKind.END: "o"}


def parts(inspector: Inspector) -> tuple[Timeline, SnapshotTree]:
    assert inspector.timeline is not None and inspector.snapshots is not None
    return inspector.timeline, inspector.snapshots


def drawn(inspector: Inspector) -> list[str]:
    view: SnapshotsView = look(inspector, view_snapshots)
    return [f"{row.graph}{SIGNS[row.kind]} {row.name or row.kind} {row.step}"
            + (" now" if row.is_now and row.kind is not RowKind.NOW else "") + (" ahead" if row.is_ahead else "")
            for row in view.rows]


def test_the_tree_is_drawn_with_the_present_history_straight_down() -> None:
    inspector = tern("two-stage", append="")
    assert drawn(inspector) == ["| start 0 now"]
    run(inspector, 2_000_000)
    timeline, tree = parts(inspector)
    booted = tree.save("booted")
    inspector.vm.inputs.push(CONSOLE, b"ls\n")
    run(inspector, 1_000_000)
    tree.save("listed")
    assert drawn(inspector) == ["| start 0", "* booted 2000000", "* listed 3000000 now"]
    run(inspector, 100)
    assert drawn(inspector) == ["| start 0", "* booted 2000000", "* listed 3000000", "@ now 3000100"]
    timeline.goto(2_500_000)
    assert drawn(inspector) == ["| start 0", "* booted 2000000", "@ now 2500000", "* listed 3000000 ahead",
                                "o end 3000100 ahead"]
    inspector.vm.inputs.push(CONSOLE, b"ps\n")
    run(inspector, 50)
    aside = ["| start 0", "* booted 2000000", "├─* listed 3000000", "│ o end 3000100"]
    assert drawn(inspector) == [*aside, "@ now 2500050"]
    timeline.goto(2_500_000)
    assert drawn(inspector) == [*aside, "@ now 2500000", "o end 2500050 ahead"]
    do(keeping.restore(inspector, booted.number))
    do(keeping.branch(inspector))
    assert drawn(inspector) == [
        "| start 0", "* booted 2000000 now", "├─* listed 3000000", "│ o end 3000100", "├─o end 2500050"]
    line = next(row.line for row in look(inspector, view_snapshots).rows if row.step == 3_000_100)
    do(keeping.restore_end(inspector, line))
    assert drawn(inspector) == ["| start 0", "* booted 2000000", "├─o end 2500050", "* listed 3000000",
                                "@ now 3000100"]


def test_shared_pages_are_those_that_are_there_once() -> None:
    inspector = tern("shadow")
    run(inspector, 1_000_000)
    _, tree = parts(inspector)
    tree.save("a")
    run(inspector, 10)
    tree.save("b")
    rows = {row.name: row for row in look(inspector, view_snapshots).rows}
    assert rows["a"].pages == rows["b"].pages > 50
    assert 0 <= rows["a"].private < 5, "ten steps store to a page or two"
    run(inspector, 5_000_000)
    tree.save("c")
    rows = {row.name: row for row in look(inspector, view_snapshots).rows}
    assert 5 < rows["c"].private < rows["c"].pages
    tree.delete(tree.nodes[0])
    rows = {row.name: row for row in look(inspector, view_snapshots).rows}
    assert list(rows) == ["", "b", "c"]


def test_a_difference_names_registers_and_memory_by_symbol() -> None:
    inspector = tern("two-stage")
    run(inspector, 1_000_000)
    _, tree = parts(inspector)
    one = tree.save("one").number
    run(inspector, 1_000_000)
    other = tree.save("other").number
    with unchanged(inspector):
        found = keeping.diff(inspector, one, other)
    assert "hart0.pc" in found.fields and "hart0.steps" in found.fields
    assert any("stats" in page.names for page in found.pages)
    assert keeping.diff(inspector, other, None).pages == ()
    run(inspector, 1)
    assert list(keeping.diff(inspector, other, None).fields)


def test_a_guest_on_the_hosts_disk_has_no_tree() -> None:
    inspector = tern("bare")
    inspector.snapshots = None
    assert view_snapshots(Inspection([inspector])).rows == ()
