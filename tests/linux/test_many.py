"""Debian in company: on a network with another, as linked clones, with all there is; its processes from outside."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hartvisor.core.devices.network.capture import FILE_HEADER, FRAME_HEADER
from hartvisor.core.machine.boot import read_files
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.introspection.processes import list_processes
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image, image_info
from tests.hypervisor.test_up import example, hartvisor

from .support import require_debian


@pytest.fixture(autouse=True)
def debian() -> None:
    require_debian()


def up(path: Path) -> tuple[dict[str, Any], str]:
    """Its result, and what the consoles showed."""
    result = path.parent / "result.json"
    done = hartvisor("up", path, "--json", result)
    return json.loads(result.read_text()), done.stdout


def frames_of(path: Path) -> list[bytes]:
    data = path.read_bytes()[FILE_HEADER.size :]
    frames = []
    while data:
        _, _, length, _ = FRAME_HEADER.unpack_from(data)
        frames.append(data[FRAME_HEADER.size : FRAME_HEADER.size + length])
        data = data[FRAME_HEADER.size + length :]
    return frames


def test_two_vms_ping_each_other(tmp_path: Path) -> None:
    result, shown = up(example("network", tmp_path))
    assert "3 packets transmitted, 3 packets received, 0% packet loss" in shown
    assert [vm["state"] for vm in result["vms"]] == ["off", "off"]
    echoes = [frame for frame in frames_of(tmp_path / "lan.pcap") if frame[12:14] == b"\x08\x00" and frame[23] == 1]
    assert [frame[34] for frame in echoes] == [8, 0] * 3
    ports = result["networks"]["lan"]["ports"]
    assert sum(port["sent_frames"] for port in ports) == len(frames_of(tmp_path / "lan.pcap"))
    assert all(port["dropped"] == 0 for port in ports)


def test_linked_clones_leave_their_base_as_it_is(tmp_path: Path) -> None:
    base = bytes(range(256)) * (16 << 12)
    (tmp_path / "base.img").write_bytes(base)
    _, shown = up(example("clones", tmp_path))
    for name in ("clone1", "clone2"):
        assert f"{name}| {name} was here" in shown
        assert (tmp_path / f"{name}.overlay").stat().st_blocks * 512 < 1 << 20
    assert sha256((tmp_path / "base.img").read_bytes()).digest() == sha256(base).digest()


def test_a_vm_with_all_there_is(tmp_path: Path) -> None:
    path = example("devices", tmp_path)
    _, shown = up(path)
    assert "devices.toml" in shown
    assert "1 packets received" in shown
    assert (tmp_path / "debian.log").read_bytes().decode(errors="replace").count("Power down") == 1


def test_linuxs_processes_by_its_btf() -> None:
    info = image_info("debian")
    written = bytearray()
    vm = Vm(VmConfig(technique="two-stage", memory=128 << 20, append=info.append, initrd=read_files(info.initrd)),
            load_image(image("debian")), written.extend)
    typed = [b"sleep 100 &\nps\n"]
    vm.console.refill = lambda: typed.pop() if typed else b""
    while b" ps\r\n~ #" not in written and vm.steps < 3_000_000_000:
        vm.run(20_000_000)
    before = digest(vm)
    found = {process.pid: process for process in list_processes(vm)}
    assert digest(vm) == before
    assert (found[2].name, found[2].is_kernel, found[1].is_kernel) == ("kthreadd", True, False)
    [sleeper] = [process for process in found.values() if process.name == "sleep"]
    assert (sleeper.parent in found, sleeper.state) == (True, "sleeping")
    told = [line.split() for line in written.decode(errors="replace").split("PID")[1].splitlines()[1:]]
    pids = {int(words[0]) for words in told if words and words[0].isdigit()}
    assert sleeper.pid in pids
    assert pids - {max(pids)} == found.keys()  # the last was ps itself
