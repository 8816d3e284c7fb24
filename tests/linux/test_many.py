"""Debian in company: on a network with another, as linked clones, with all there is; its processes from outside."""

from __future__ import annotations

import json
import shlex
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hartvisor.core.devices.network.capture import FILE_HEADER, FRAME_HEADER
from hartvisor.core.devices.virtio.overlay import open_disk
from hartvisor.core.machine.boot import read_files
from hartvisor.core.machine.loader import load_image
from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.digest import digest
from hartvisor.core.vmm.hypervisor.scheduler import jain_index
from hartvisor.core.vmm.introspection.processes import list_processes
from hartvisor.core.vmm.vm import Vm
from hartvisor.guest import image, image_info
from tests.hypervisor.test_up import COMMAND, example, hartvisor
from tests.hypervisor.test_up import up as compare_runs
from tests.oracles import require_oracle

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


@pytest.fixture(scope="module")
def pinged(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str, Path]:
    """The network's example, run: its result, what the consoles showed, and its capture."""
    require_debian()
    folder = tmp_path_factory.mktemp("network")
    return *up(example("network", folder)), folder / "lan.pcap"


def test_two_vms_ping_each_other(pinged: tuple[dict[str, Any], str, Path]) -> None:
    result, shown, capture = pinged
    assert "3 packets transmitted, 3 packets received, 0% packet loss" in shown
    assert [vm["state"] for vm in result["vms"]] == ["off", "off"]
    echoes = [frame for frame in frames_of(capture) if frame[12:14] == b"\x08\x00" and frame[23] == 1]
    assert [frame[34] for frame in echoes] == [8, 0] * 3
    ports = result["networks"]["lan"]["ports"]
    assert sum(port["sent_frames"] for port in ports) == len(frames_of(capture))
    assert all(port["dropped"] == 0 for port in ports)


def test_a_class_of_eight_has_the_machine_by_shares(tmp_path: Path) -> None:
    """All eight want it for 100 million steps; their memory is one and a half times the machine's; threads change
    nothing."""
    result = compare_runs(example("class", tmp_path), "--budget", "100M")
    vms = result["vms"]
    assert len(vms) == 8
    assert jain_index([vm["used"] / vm["shares"] for vm in vms]) >= 0.9999
    assert sum(vm["used"] for vm in vms) == 100_000_000 == result["clock"]
    assert sum(vm["memory"] for vm in vms) * 2 == result["frames"]["total"] * 4096 * 3
    assert result["sharing"]["saved"] > 200


def test_memory_that_is_not_there_is_not_missed(pinged: tuple[dict[str, Any], str, Path], tmp_path: Path) -> None:
    """Two Debian VMs of 128 MiB on a machine of 72, and on one of 256: the same runs, to the digest."""
    path = example("network", tmp_path)
    path.write_text(path.read_text().replace('memory = "256M"', 'memory = "72M"').replace('"64M"', '"256M"'))
    small, large = up(path)[0]["vms"], pinged[0]["vms"]
    assert [[vm[name] for name in ("digest", "steps", "instructions")] for vm in small] == [
        [vm[name] for name in ("digest", "steps", "instructions")] for vm in large]
    assert all(vm["pages"]["swap_reads"] > 1000 for vm in small)
    assert all(vm["pages"]["swap_reads"] == 0 for vm in large)


BALLOON = """
[machine]
memory = "112M"
swap = "256M"
[[vm]]
name = "giver"
image = "debian"
memory = "128M"
balloon = "auto"
ready = "Enter 'help'"
input = "sleep 20; grep balloon_ /proc/vmstat; poweroff -f\\n"
[[vm]]
name = "taker"
image = "debian"
memory = "128M"
order = 1
input = "poweroff -f\\n"
"""


def test_a_balloon_gives_what_another_needs(tmp_path: Path) -> None:
    """And takes it back when the other has gone. Debian finds the driver by itself."""
    (tmp_path / "balloon.toml").write_text(BALLOON)
    result, shown = up(tmp_path / "balloon.toml")
    assert [vm["state"] for vm in result["vms"]] == ["off", "off"]
    given, taken = (int(shown.split(f"giver| balloon_{what} ")[1].split()[0]) for what in ("inflate", "deflate"))
    assert given > 2000
    assert taken > 2000


COPY = """
[machine]
memory = "256M"
swap = "64M"
[[network]]
name = "lan"
pcap = "lan.pcap"
[[vm]]
name = "server"
image = "debian"
memory = "128M"
networks = ["lan"]
ready = "all of it is there"
input = '''
ifconfig eth0 10.0.0.2; mkdir -p /srv; mount -t tmpfs -o size=40m srv /srv
head -c 10485760 /dev/urandom >/srv/data; md5sum </srv/data; httpd -h /srv && echo all of it 'is there'
nc -l -p 99 >/dev/null; poweroff -f
'''
[[vm]]
name = "client"
image = "debian"
technique = "shadow"
memory = "128M"
networks = ["lan"]
order = 1
input = '''
ifconfig eth0 10.0.0.1
wget -q -O - http://10.0.0.2/data | md5sum
echo done | nc 10.0.0.2 99; poweroff -f
'''
"""


def test_ten_megabytes_are_copied_over_the_switch(tmp_path: Path) -> None:
    size = 10 << 20
    (tmp_path / "copy.toml").write_text(COPY)
    result, shown = up(tmp_path / "copy.toml")
    sums = [line.split("| ")[1] for line in shown.splitlines() if line.endswith("  -")]
    assert len(sums) == 2
    assert sums[0] == sums[1]
    assert [vm["state"] for vm in result["vms"]] == ["off", "off"]
    ports = result["networks"]["lan"]["ports"]
    assert ports[0]["sent_bytes"] > size
    assert ports[1]["received_bytes"] > size
    assert sum(len(frame) for frame in frames_of(tmp_path / "lan.pcap")) == sum(port["sent_bytes"] for port in ports)
    told = subprocess.run([require_oracle("tshark"), "-r", str(tmp_path / "lan.pcap"), "-Y", "http.response", "-T",
                           "fields", "-e", "http.response.code"], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["200"]


def test_linked_clones_leave_their_base_as_it_is(tmp_path: Path) -> None:
    base = bytes(range(256)) * (16 << 12)
    (tmp_path / "base.img").write_bytes(base)
    _, shown = up(example("clones", tmp_path))
    for name in ("clone1", "clone2"):
        assert f"{name}| {name} was here" in shown
        assert (tmp_path / f"{name}.overlay").stat().st_blocks * 512 < 1 << 20
    assert sha256((tmp_path / "base.img").read_bytes()).digest() == sha256(base).digest()


def test_a_full_disk_under_an_overlay_is_an_error_that_its_guest_sees(tmp_path: Path) -> None:
    """The overlay lies on a file system of 1 MiB, in a mount namespace of its own. What was synced before stays."""
    base = bytes(range(256)) * (8 << 12)
    (tmp_path / "base.img").write_bytes(base)
    small = tmp_path / "small"
    small.mkdir()
    (tmp_path / "full.toml").write_text('''
[machine]
memory = "160M"
[[vm]]
name = "writer"
image = "debian"
memory = "128M"
disks = [{ file = "small/writer.overlay", base = "base.img" }]
input = """
echo kept | dd of=/dev/vda bs=4k conv=sync,fsync
dd if=/dev/zero of=/dev/vda bs=64k seek=1 count=64 conv=fsync && echo all went well
dd if=/dev/vda bs=4 count=1
poweroff -f
"""
[[vm]]
name = "beside"
image = "hello"
memory = "8M"
''')
    script = (f"mount -t tmpfs -o size=1m small small && {shlex.join(COMMAND)} up full.toml --json result.json && "
              "cp small/writer.overlay .")
    done = subprocess.run(["unshare", "--map-root-user", "--mount", "sh", "-c", script], cwd=tmp_path, text=True,
                          capture_output=True, check=False)
    if "unshare" in done.stderr:
        pytest.skip(f"this host gives no mount namespace: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    assert "I/O error" in done.stdout
    assert "writer| all went well" not in done.stdout
    assert "writer| kept" in done.stdout
    assert "beside| hello" in done.stdout.lower()
    result = json.loads((tmp_path / "result.json").read_text())
    assert [vm["state"] for vm in result["vms"]] == ["off", "off"]
    assert (tmp_path / "base.img").read_bytes() == base
    disk = open_disk(tmp_path / "writer.overlay", is_read_only=True)
    assert disk.read(0, 5) == b"kept\n"
    assert disk.read(7 << 20, 512) == base[7 << 20 : (7 << 20) + 512]
    disk.close()


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
