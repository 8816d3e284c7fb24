"""The app at VMs of another process: they are looked at, paused and typed to; nothing else gets through the socket, and
an end of the other side is a line."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from zlib import compress

import pytest

from hartvisor.core.errors import ConfigError
from hartvisor.core.vmm.control.client import ControlClient
from hartvisor.core.vmm.views.status import view_status
from hartvisor.tui.app.app import HartvisorApp
from hartvisor.tui.app.attached.wire import pack, unpack

from .support import NARROW, WIDE, Desk
from .test_opening import hartvisor

PLAN = """
[machine]
memory = "128M"
[[vm]]
name = "shell"
image = "kernel"
memory = "16M"
[[vm]]
name = "worker"
image = "spin"
technique = "two-stage"
memory = "8M"
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Path]:
    """A hypervisor with two VMs; its socket."""
    (tmp_path / "plan.toml").write_text(PLAN, encoding="utf-8")
    path = tmp_path / "plan.sock"
    done = hartvisor("up", "plan.toml", "--detach", "--socket", str(path), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    yield path
    hartvisor("down", "--socket", str(path), folder=tmp_path)


def at(path: Path, test: Callable[[Desk], Awaitable[None]], size: tuple[int, int] = WIDE) -> None:
    """Run a test with the app attached."""

    async def run() -> None:
        app = HartvisorApp(ControlClient(path), lab_folder=Path("absent"))
        async with app.run_test(size=size, notifications=True) as pilot:
            desk = Desk(app, pilot)
            await desk.settle()
            await test(desk)
            await desk.settle()

    asyncio.run(run())


async def until(desk: Desk, wanted: str) -> None:
    for _ in range(400):
        if any(wanted in row for row in desk.screen_text()):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"no {wanted!r}:\n" + "\n".join(desk.screen_text()))


@pytest.mark.parametrize("size", [NARROW, WIDE])
def test_every_panel_looks_at_another_process(running: Path, size: tuple[int, int]) -> None:
    async def test(desk: Desk) -> None:
        await until(desk, "shell 1/2")
        for panel in desk.app.main.panels.values():
            await desk.ui(panel.KEY)
            for _ in panel.TABS:
                await desk.ui("]")
        await desk.ui("tab")
        await until(desk, "worker 2/2")
        assert not [notice for notice in desk.notices() if "cannot be sent" in notice or "bug" in notice]

    at(running, test, size)


def test_pause_and_resume(running: Path) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("tab")
        await until(desk, "▶ running")
        await desk.press("c")
        await until(desk, "‖ paused")
        await desk.press("c")
        await until(desk, "▶ running")
        await desk.press("s")
        assert any("another process" in notice for notice in desk.notices())

    at(running, test)


def test_a_console_has_what_was_written_before_and_takes_what_is_typed(running: Path) -> None:
    async def test(desk: Desk) -> None:
        await desk.press("6", "]")
        await until(desk, "$")
        await desk.press(*"echo far away", "enter")
        await until(desk, "far away")

    at(running, test)


def test_the_other_side_ends(running: Path) -> None:
    async def test(desk: Desk) -> None:
        await until(desk, "shell 1/2")
        with ControlClient(running) as client:
            client.ask("quit")
        for _ in range(200):
            if any("hung up" in notice for notice in desk.notices()):
                break
            await asyncio.sleep(0.05)
        assert [notice for notice in desk.notices() if "hung up" in notice]
        await desk.press("3", "q")

    at(running, test)


def test_a_plan_is_brought_up_and_down(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(PLAN, encoding="utf-8")
    done = hartvisor("tui", "plan.toml", "--screenshot", "plan.svg", "--size", "200x60", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "worker" in (tmp_path / "plan.svg").read_text(encoding="utf-8")


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[[vm]]\nname = 3\n", encoding="utf-8")
    for arguments, wanted in ((["bad.toml"], "bad.toml:2"), (["--attach", "--socket", "none.sock"], "no hypervisor"),
                              (["a.toml", "kernel"], "is looked at alone")):
        done = hartvisor("tui", *arguments, "--screenshot", "x.svg", folder=tmp_path)
        assert done.returncode == 2 and wanted in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


def test_what_is_sent_names_nothing_else() -> None:
    assert unpack(pack({"status": view_status}))["status"] is view_status
    assert unpack(pack(partial(view_status)))
    for evil in (os.system, partial(os.system, "true"), eval, subprocess.Popen):
        with pytest.raises(ConfigError):
            unpack(b64encode(compress(pickle.dumps(evil))).decode())
    for text in ("", "!", "abcd", b64encode(b"no").decode()):
        with pytest.raises(ConfigError):
            unpack(text)


def test_garbage_costs_the_hypervisor_nothing(running: Path) -> None:
    with ControlClient(running) as client:
        for wanted in ("", "zzzz", pack(["no"]), pack({"x": 3})):
            try:
                client.ask("glass", wanted=wanted)
            except ConfigError:
                continue
        assert {vm["name"] for vm in client.ask("query-vms")} == {"shell", "worker"}
