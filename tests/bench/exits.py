"""What a full exit costs, in empty Python method calls: `hartvisor bench --exits` with the counts to choose.

    python -m tests.bench.exits [--json FILE] [--count N] [--rounds N]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from hartvisor.tui.bench.exits import measure_exits


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.exits", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=50_000, help="exits a round (default 50,000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the median counts (default 5)")
    parser.add_argument("--json", metavar="FILE", help="write JSON; - is standard output")
    options = parser.parse_args()
    rows = measure_exits(options.count, options.rounds, lambda what: print(f"measuring: {what}", file=sys.stderr))
    text = json.dumps({"exits": rows}, indent=2)
    if options.json == "-":
        print(text)
        return
    if options.json:
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    print(f"{'exit':<12}{'technique':<14}{'ns an exit':>12}{'ns an empty call':>18}{'empty calls':>13}")
    for row in rows:
        print(f"{row['exit']:<12}{row['technique']:<14}{row['exit_ns']:>12}{row['empty_call_ns']:>18}{row['ratio']:>13}")


if __name__ == "__main__":
    main()
