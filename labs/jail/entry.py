"""The first thing that runs in the child: `python entry.py SETUP`, before there is any of the student's code.

SETUP is JSON: `packages` (dotted name to folder), `kit` (modules to import while files can still be read), `staff` (a
module of ours that answers in the student's place, or null), `limits` (see confine.Limits), `requests` and `replies`
(file descriptors).
"""

import importlib
import json
import os
import random
import sys
import types


def main() -> None:
    """Make our packages importable, import what the lab gives, lock the door, serve."""
    setup = json.loads(sys.argv[1])
    packages = []
    for name, folder in setup["packages"].items():
        module = types.ModuleType(name)
        module.__path__ = [folder] if folder else []
        sys.modules[name] = module
        packages.append(module)
        if "." in name:
            parent, _, child = name.rpartition(".")
            setattr(sys.modules[parent], child, module)
    confine = importlib.import_module("hartvisor.labs.jail.confine")
    serve = importlib.import_module("hartvisor.labs.jail.serve")
    for name in setup["kit"]:
        importlib.import_module(name)
    subject = importlib.import_module(setup["staff"]) if setup["staff"] else None
    random.seed(0)
    serve.stop_clocks()
    if not confine.landlock_version():
        serve.preload()
    if subject is None:
        for module in packages:  # nothing else of ours is the student's to import
            module.__path__ = []
    sys.argv = ["answer"]
    line = [_lowest(setup[name]) for name in ("requests", "replies")]
    confine.confine(confine.Limits(**setup["limits"]))
    serve.Server(*line, subject).run()


def _lowest(descriptor: int) -> int:
    """The same file under the lowest free number: how many the parent has open is not to be seen in here, and a number
    beyond the limit on open files would be out of reach of what closes or floods everything."""
    lowest = os.dup(descriptor)
    os.close(descriptor)
    return lowest


if __name__ == "__main__":
    main()
