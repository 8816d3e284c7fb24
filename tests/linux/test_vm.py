"""Debian's kernel as a VM's guest: every technique brings it to the same shell, by the same steps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .support import NETWORK, RELEASE, answers, check_network, hartvisor, require_debian

TECHNIQUES = ("bare", "two-stage", "shadow", "deprivileged")
FIRMWARE = (b"SBI specification v3.0 detected", b"SBI PMU extension is available", b"SBI PMU snapshot detected",
            b"SBI SUSP extension detected")
"""What the kernel says it found of the firmware's, and uses."""


def boot(folder: Path, technique: str, vcpus: int) -> dict[str, Any]:
    """Boot, ask for the release and the number of harts, use the network, power off; the result."""
    require_debian()
    path = folder / f"{technique}.json"
    run = hartvisor("run", "debian", "--technique", technique, "--smp", str(vcpus), "--json", str(path),
                    "--netdev", f"echo,pcap={folder / technique}.pcap",
                    typed=b"uname -r\nnproc\ndmesg | grep SBI\n" + NETWORK + b"poweroff -f\n")
    assert run.status == 0, run.err
    said = answers(run.out)
    assert said[0].startswith(RELEASE)
    assert said[1] == str(vcpus).encode()
    for line in FIRMWARE:
        assert any(line in each for each in said), line
    check_network(said)
    result: dict[str, Any] = json.loads(path.read_text())
    assert result["stop"] == {"reason": "power-off", "detail": "test finisher: pass"}
    return result


@pytest.mark.parametrize("vcpus", [1, 4])
def test_debian_boots_to_the_same_shell_under_every_technique(tmp_path: Path, vcpus: int) -> None:
    results = [boot(tmp_path, technique, vcpus) for technique in TECHNIQUES]
    for result in results:
        assert {name: result[name] for name in ("steps", "digest", "guest_traps")} == {
            name: results[0][name] for name in ("steps", "digest", "guest_traps")}
    captures = {(tmp_path / f"{technique}.pcap").read_bytes() for technique in TECHNIQUES}
    assert len(captures) == 1 and len(captures.pop()) > 200_000
