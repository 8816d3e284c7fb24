"""Linked clones of one Debian VM, as many as you like, boot in turn from one base disk: by hand.

    python -m tests.bench.clones --count 100

Each reads the base's first sector, writes one of its own, and powers off. Then the base must be as it was, and each
overlay must have its own sector; what they take up on the host's disk is printed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hartvisor.core.devices.virtio.overlay import open_disk

SIZE = 64 << 20
SECTOR = 512
PLAN = """
[machine]
memory = "160M"

[[vm]]
name = "clone"
count = {count}
in_turn = true
ready = "this text never comes: each waits for the end of the one before"
image = "debian"
memory = "128M"
disks = [{{ file = "{{name}}.overlay", base = "base.img" }}]
input = '''
head -c 16 /dev/vda
echo {{name}} was here | dd of=/dev/vda bs=512 seek=1 conv=sync
sync
poweroff -f
'''
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = folder / "base.img"
        base.write_bytes(b"the base's words" + bytes(range(256)) * ((SIZE - 256) // 256) + bytes(240))
        before = hashlib.sha256(base.read_bytes()).hexdigest()
        (folder / "clones.toml").write_text(PLAN.format(count=count))
        started = time.monotonic()
        done = subprocess.run([sys.executable, "-m", "hartvisor.tui.cli", "up", str(folder / "clones.toml"), "--json",
                               str(folder / "result.json")], capture_output=True, text=True, check=False)
        seconds = time.monotonic() - started
        if done.returncode:
            print(done.stdout[-2000:], done.stderr[-2000:], file=sys.stderr)
            return 1
        vms = json.loads((folder / "result.json").read_text())["vms"]
        right = 0
        used = 0
        for vm in vms:
            overlay = folder / f"{vm['name']}.overlay"
            used += overlay.stat().st_blocks * 512
            disk = open_disk(overlay, is_read_only=True)
            written = disk.read(SECTOR, SECTOR).rstrip(b"\0")
            disk.close()
            right += vm["state"] == "off" and written == f"{vm['name']} was here\n".encode() \
                and f"{vm['name']}| the base's words" in done.stdout
        after = hashlib.sha256(base.read_bytes()).hexdigest()
        print(f"{right} of {count} clones booted, read the base and wrote their own, in {seconds:.0f} s; "
              f"the base is {'as it was' if before == after else 'SPOILT'} ({SIZE >> 20} MiB), "
              f"the overlays take up {used >> 10} KiB together")
        return 0 if right == count and before == after else 1


if __name__ == "__main__":
    sys.exit(main())
