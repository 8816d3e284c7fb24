"""Two Debians on one wire: ours in a VM, and QEMU's."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.guest.qemu import read_until
from tests.oracles import require_oracle

from .support import TIMEOUT, answers, require_debian

TYPED = b"""ifconfig eth0 10.9.0.1 up
until ping -c 1 -W 1 10.9.0.2 >/dev/null; do :; done
ping -c 2 10.9.0.2
head -c 100000 /dev/urandom >x; md5sum <x
until nc 10.9.0.2 9999 <x >y; do sleep 1; done
md5sum <y
poweroff -f
"""
TYPED_THERE = b"ifconfig eth0 10.9.0.2 up\nnc -l -p 9999 -e cat\n"


def test_our_debian_and_qemus_exchange_frames() -> None:
    folder = require_debian()
    qemu = [require_oracle("qemu-system-riscv64"), "-M", "virt", "-m", "256M", "-display", "none", "-monitor", "none",
            "-serial", "stdio", "-kernel", str(folder / "Image"), "-initrd", str(folder / "initramfs.cpio"),
            "-append", "console=ttyS0 quiet", "-device", "virtio-net-device,netdev=wire"]
    ours = [sys.executable, "-m", "hartvisor.tui.cli", "run", "debian", "--technique", "two-stage",
            "--netdev", "socket,listen=127.0.0.1:0"]
    with subprocess.Popen(ours, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as here:
        assert here.stdin is not None and here.stderr is not None
        address = re.search(rb"listening on (\S+)", here.stderr.readline())
        assert address is not None
        here.stdin.write(TYPED)
        here.stdin.close()
        here.stdin = None
        wire = f"socket,id=wire,connect={address[1].decode()}"
        with subprocess.Popen([*qemu, "-netdev", wire], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as there:
            try:
                read_until(there, b"~ # ", 120)
                assert there.stdin is not None
                there.stdin.write(TYPED_THERE)
                there.stdin.flush()
                out, err = here.communicate(timeout=TIMEOUT)
            finally:
                there.kill()
                here.kill()
    said = answers(out)
    assert b"2 packets transmitted, 2 packets received, 0% packet loss" in said, err
    sums = [line for line in said if line.endswith(b"  -")]
    assert len(sums) == 2 and sums[0] == sums[1]
    assert b"a peer has connected from 127.0.0.1:" in err
