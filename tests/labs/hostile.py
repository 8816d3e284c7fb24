"""Submissions that mean harm, or know no better. The first kind strikes when it is loaded, whatever the lab; the second
in the first function that a lab's starter leaves open (lab 0's sign_extend), with the rest of the answer around it."""

from __future__ import annotations

import ast
from typing import Final

from hartvisor.labs.catalog import find_lab
from hartvisor.labs.submission import Submission
from tests.labs.support import changed

LOADING: Final[dict[str, tuple[str, set[str]]]] = {
    "exits with status 0": ("import os\nos._exit(0)", {"crash"}),
    "SystemExit": ("raise SystemExit(0)", {"crash"}),
    "endless loop": ("while True:\n    pass", {"timeout"}),
    "endless loop that catches everything": (
        "while True:\n    try:\n        while True: pass\n    except BaseException:\n        pass", {"timeout"}),
    "endless loop in C": ("import itertools\nsum(itertools.repeat(0))", {"timeout"}),
    "ignores signals": (
        "import signal\nfor n in range(1, 32):\n    try:\n        signal.signal(n, signal.SIG_IGN)\n"
        "    except (OSError, ValueError):\n        pass\nwhile True: pass", {"timeout"}),
    "fork bomb": ("import os\nwhile True:\n    os.fork()", {"crash"}),
    "thread bomb": ("import threading\nwhile True:\n    threading.Thread(target=lambda: None).start()", {"crash"}),
    "memory bomb": ("x = []\nwhile True:\n    x.append(bytearray(1 << 24))", {"crash"}),
    "one huge number": ("x = 7 ** (7 ** 20)", {"crash", "timeout"}),
    "deep recursion in C": ("x = []\nfor _ in range(10 ** 6):\n    x = [x]\nrepr(x)", {"crash"}),
    "crash of the interpreter": ("import ctypes\nctypes.string_at(0)", {"crash"}),
    "kills its parent": ("import os, signal\nos.kill(os.getppid(), signal.SIGKILL)", {"crash"}),
    "kills its group": ("import os, signal\nos.killpg(0, signal.SIGKILL)", {"crash"}),
    "sleeps": ("import time\ntime.sleep(10 ** 6)", {"crash"}),
    "waits on its own lock": ("import threading\nl = threading.Lock()\nl.acquire()\nl.acquire()", {"timeout"}),
    "starts a program": ("import subprocess\nsubprocess.run(['true'], check=True)", {"crash"}),
    "opens a socket": ("import socket\nsocket.create_connection(('127.0.0.1', 80))", {"crash"}),
    "writes a file": ("open('result.json', 'w').write('100')", {"crash"}),
    "reads the answers": (
        "import sys\nfrom pathlib import Path\n"
        "text = [p.read_text() for s in sys.orig_argv if s.endswith('entry.py')\n"
        "        for p in Path(s).parents[1].rglob('answer.py')]\nassert text\nexec(text[0])", {"crash"}),
    "imports the hypervisor": ("from hartvisor.core.isa.decoder import decode", {"crash"}),
    "imports the judge": ("from hartvisor.labs.judge import verdict", {"crash"}),
    "closes every descriptor": ("import os\nos.closerange(0, 64)", {"crash"}),
    "reads its own requests": (
        "import os\nfor n in range(3, 64):\n    try:\n        os.read(n, 1 << 20)\n    except OSError:\n        pass",
        {"timeout", "crash"}),
    "answers before it is asked": (
        "import os, struct\nm = b'{\"ret\":true,\"args\":[],\"status\":\"pass\",\"points\":100}'\n"
        "for n in range(3, 64):\n    for _ in range(50):\n        try:\n"
        "            os.write(n, struct.pack('<I', len(m)) + m)\n        except OSError:\n            pass",
        {"crash", "fail"}),
    "sends garbage": (
        "import os\nfor n in range(3, 64):\n    try:\n        os.write(n, b'\\xff' * 4096)\n"
        "    except OSError:\n        pass",
        {"crash"}),
    "floods its output": ("import sys\nwhile True:\n    sys.stdout.write('x' * 65536)", {"timeout"}),
    "raises its own limits": (
        "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (10 ** 6, 10 ** 6))", {"crash"}),
    "patches json": ("import json\njson.dumps = lambda *a, **k: '{\"ret\": 0, \"args\": []}'\n", {"crash", "fail"}),
    "is no Python": ("def f(:\n", {"crash"}),
    "is empty": ("", {"fail"}),
    "is not even text": ("\x00\x01\x02", {"crash"}),
}

HOOKED: Final[dict[str, tuple[str, set[str]]]] = {
    "reads the frames": (
        "import sys\n    frame = sys._getframe()\n    while frame:\n        for each in frame.f_locals.values():\n"
        "            if each == 'wanted':\n                return each\n        frame = frame.f_back\n    return 0",
        {"fail"}),
    "equals everything": (
        "class Any(int):\n        __eq__ = lambda self, other: True\n        __hash__ = int.__hash__\n"
        "    return Any(12345)",
        {"fail"}),
    "patches the server": (
        "import gc\n    for each in gc.get_objects():\n        if type(each).__name__ == 'Server':\n"
        "            each._answer = lambda request: b'{\"ret\": 0, \"args\": [null, null]}'\n    return 0",
        {"fail", "crash"}),
    "patches the codec": (
        "import sys\n    sys.modules['hartvisor.labs.jail.codec'].dump = lambda m: b'{\"pass\": 1}'\n    return 0",
        {"crash"}),
    "random": ("import random, os, time\n    return id(object()) ^ hash(random.random()) ^ time.time_ns()",
               {"fail", "nondeterministic"}),
    "answers with too much": ("return 'x' * (1 << 26)", {"crash"}),
    "answers with a deep nest": ("x = []\n    for _ in range(500):\n        x = [x]\n    return x", {"crash"}),
    "answers with its own class": ("return type('Verdict', (), {'status': 'pass'})()", {"crash"}),
    "answers with NaN": ("return float('nan')", {"crash"}),
    "raises what str() cannot say": (
        "class E(Exception):\n        def __str__(self): raise SystemExit\n    raise E", {"crash"}),
    "exits when asked": ("import os\n    os._exit(0)", {"crash"}),
    "loops when asked": ("while True: pass", {"timeout"}),
    "eats memory when asked": ("x = [0]\n    while True: x += x", {"crash"}),
}


def first_hole(number: int) -> tuple[str, str]:
    """Class ("" for none) and name of the first function that a lab's starter leaves open."""
    tree = ast.parse((find_lab(number).folder / "starter" / "answer.py").read_text(encoding="utf-8"))
    places = [("", tree.body)] + [(each.name, each.body) for each in tree.body if isinstance(each, ast.ClassDef)]
    holes = [(function.lineno, owner, function.name) for owner, body in places for function in body
             if isinstance(function, ast.FunctionDef) and any(isinstance(each, ast.Raise) for each in function.body)]
    _, owner, name = min(holes)
    return owner, name


def planted(number: int, body: str) -> Submission:
    """The reference answer, with this (indented as for a function) in the place of its first function's body."""
    owner, name = first_hole(number)
    text = changed(number, {}).texts
    tree = ast.parse(text["answer.py"])
    parts = tree.body
    if owner:
        parts = next(each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == owner).body
    found = next(each for each in parts if isinstance(each, ast.FunctionDef) and each.name == name)
    lines, indent = text["answer.py"].splitlines(), " " * (found.col_offset + 4)
    first, *rest = body.splitlines()
    wrong = [indent + first, *(indent + line[4:] for line in rest)]
    lines[found.body[0].lineno - 1:found.end_lineno] = wrong
    return Submission({**text, "answer.py": "\n".join(lines) + "\n"})
