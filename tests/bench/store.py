"""How long a booted Linux VM takes to be kept on disk.

    python -m tests.bench.store [--rounds N] [--technique T] [--json FILE]

Debian boots to its shell; its first snapshot into a new store is timed, then N more, five million steps apart each, and
restoring one. Seconds are of the wall; those of CPU are beside them. Needs `hartvisor images fetch debian`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from hartvisor.core.vmm.config import VmConfig
from hartvisor.core.vmm.recipe import Recipe
from hartvisor.core.vmm.store import Store
from hartvisor.guest import image, image_info

BOOTED = 800_000_000
APART = 5_000_000


def timed(action: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of the wall, and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--technique", default="two-stage")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    info = image_info("debian")
    config = VmConfig(technique=options.technique, append=info.append)
    recipe = Recipe.of("debian", config, image("debian"), info.initrd)
    vm = recipe.start(lambda data: None)
    vm.console.refill = lambda: b""
    vm.run(BOOTED)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        store = Store(path)
        first = timed(lambda: store.save("first", vm, recipe))
        size = path.stat().st_size
        later = []
        for number in range(options.rounds):
            vm.run(APART)
            later.append(timed(lambda name=f"later{number}": store.save(name, vm, recipe)))
        restored = timed(lambda: store.restore("first", lambda data: None))
        store.close()
    result = {
        "technique": options.technique, "first_seconds": first[0], "first_cpu_seconds": first[1],
        "first_mib": size / (1 << 20), "later_seconds_median": median(wall for wall, _ in later),
        "later_seconds_most": max(wall for wall, _ in later), "restore_seconds": restored[0]}
    for name, value in result.items():
        print(f"{name:28} {value:.3f}" if isinstance(value, float) else f"{name:28} {value}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
