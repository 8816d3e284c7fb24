"""Random kernels in company, whose pages go to the swap file, share frames and come back all the time: by hand.

    python -m tests.fuzz.moving [--first SEED] [--seeds N]

Each seed runs under every technique, twice on one machine, and must do what it does alone; after each stretch every
leaf of both VMs' tables must lead to what is theirs.
"""

from __future__ import annotations

import argparse
import sys

from tests.hypervisor.support import TECHNIQUES
from tests.hypervisor.test_moving_pages import run_in_company


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=50)
    options = parser.parse_args()
    failed = writes = shared = copies = 0
    for seed in range(options.first, options.first + options.seeds):
        for technique in TECHNIQUES:
            try:
                manager, rams = run_in_company(technique, seed)
            except AssertionError as error:
                failed += 1
                print(f"seed {seed}, {technique}: {str(error).splitlines()[0]}", flush=True)
                continue
            writes += sum(ram.swap.writes for ram in rams)
            shared += manager.sharing.matches
            copies += sum(ram.copies for ram in rams)
    print(f"{options.seeds} seeds under {len(TECHNIQUES)} techniques: {failed} failed; {writes} pages went to the swap "
          f"file, {shared} joined a shared frame, {copies} were copied")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
