"""The child's loop: load the student's files, call what the parent names, send back what it said."""

from __future__ import annotations

import builtins
import importlib
import importlib.abc
import importlib.machinery
import itertools
import linecache
import os
import sys
import time
import traceback
from collections.abc import Callable
from types import CodeType, ModuleType
from typing import Any

from ..kit import remote
from . import codec, confine
from .frames import read_frame, write_frame

PRELOADED = ("abc", "bisect", "collections", "contextlib", "copy", "dataclasses", "enum", "fractions", "functools",
             "hashlib", "heapq", "itertools", "json", "math", "operator", "random", "re", "statistics", "string",
             "struct", "textwrap", "typing", "zlib")
"""What students import, if anything: read while files can be, since where the system has no Landlock none can later."""

STUDENT_FILES = "student"
"""The folder that a student's files are said to lie in: tracebacks show `student/answer.py`."""


def preload() -> None:
    """Import PRELOADED."""
    for name in PRELOADED:
        importlib.import_module(name)


def stop_clocks() -> None:
    """What an answer does must not depend on when it does it."""
    ticks = itertools.count(1)
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        if hasattr(time, name):
            setattr(time, name, lambda: next(ticks) * 1e-6)
            setattr(time, name + "_ns", lambda: next(ticks) * 1000)
    os.urandom = lambda size: bytes(next(ticks) * 151 & 255 for _ in range(size))


class Files(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """The student's files, by the names they are imported by; they came over the line and lie on no disk."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = {name.removesuffix(".py"): text for name, text in texts.items() if name.endswith(".py")}

    def find_spec(self, name: str, path: object = None, target: object = None) -> importlib.machinery.ModuleSpec | None:
        """A module of the student's, or None."""
        if name.startswith("hartvisor") and name not in sys.modules:
            raise ImportError(f"{name} is not part of this lab: import what its handout names")
        return importlib.machinery.ModuleSpec(name, self) if name in self._texts else None

    def exec_module(self, module: ModuleType) -> None:
        """Run the file."""
        name = module.__name__
        text, path = self._texts[name], f"{STUDENT_FILES}/{name}.py"
        linecache.cache[path] = (len(text), None, text.splitlines(True), path)
        module.__file__ = path
        code: CodeType = compile(text, path, "exec")
        exec(code, module.__dict__)


class Server:
    """Answers the parent's calls.

    requests, replies: file descriptors. subject: a module of ours that answers in the student's place.
    """

    def __init__(self, requests: int, replies: int, subject: ModuleType | None = None) -> None:
        self._requests = requests
        self._replies = replies
        self._subject = subject
        self._version: object = None
        self._instances: dict[str, Any] = {}

    def run(self) -> None:
        """Until the parent closes the line."""
        remote.ask = self._ask
        while True:
            request = self._read()
            if request is None:
                return
            try:
                reply = self._answer(request)
            except BaseException as error:
                reply = codec.dump(describe(error))
            write_frame(self._replies, reply)

    def _read(self) -> dict[str, Any] | None:
        data = read_frame(self._requests)
        return codec.parse(data) if data is not None else None

    def _answer(self, request: dict[str, Any]) -> bytes:
        if "load" in request:
            sys.meta_path.insert(0, Files(request["load"]))
            return codec.dump({"ret": None, "args": [], "jail": list(confine.STRENGTH)})
        if "import" in request:
            importlib.import_module(request["import"])
            return codec.dump({"ret": None, "args": []})
        if "version" in request:
            assert self._subject is not None
            self._version = self._subject.VERSIONS[request["version"]]()
            return codec.dump({"ret": None, "args": []})
        arguments = [codec.unpack(each) for each in request["args"]]
        before = [codec.pack(each) if codec.travels_back(each) else None for each in arguments]
        target: str = request["call"]
        result = self._find(target)(*arguments)
        return codec.dump({"ret": codec.pack(result), "args": codec.changed_arguments(arguments, before)})

    def _find(self, target: str) -> Callable[..., Any]:
        """What "function", "Class.method" or "module:function" names; classes are instantiated once, without
        arguments."""
        found: Callable[..., Any]
        if self._version is not None:
            found = getattr(self._version, target)
            return found
        module_name, _, path = target.rpartition(":")
        if path == "*":
            return lambda subject: run_tests(importlib.import_module(module_name), subject)
        module = importlib.import_module(module_name or "answer")
        if "." not in path:
            found = _attribute(module, path)
            return found
        class_name, _, method = path.partition(".")
        if class_name not in self._instances:
            self._instances[class_name] = _attribute(module, class_name)()
        found = _attribute(self._instances[class_name], method)
        return found

    def _ask(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """The kit's objects ask the parent; it answers, or refuses, which is the student's mistake."""
        packed = [codec.pack(each) for each in arguments]
        write_frame(self._replies, codec.dump({"ask": name, "args": packed}))
        reply = self._read()
        if reply is None:
            os._exit(1)
        if "raise" in reply:
            raise ValueError(reply["raise"])
        codec.apply_changes(arguments, reply["args"])
        return codec.unpack(reply["ret"])


def _attribute(owner: object, name: str) -> Any:
    if not hasattr(owner, name):
        kind = owner.__name__ + ".py" if isinstance(owner, ModuleType) else type(owner).__name__
        raise NotImplementedError(f"{kind} has no {name}")
    return getattr(owner, name)


def run_tests(module: ModuleType, subject: object) -> str:
    """Run every test_* function on the subject, in the file's order; what the first failure said, or nothing."""
    tests = [each for name, each in vars(module).items() if name.startswith("test_") and callable(each)]
    for test in tests:
        try:
            test(subject)
        except Exception as error:
            return f"{test.__name__}: {describe(error)['raise']}"
    return "" if tests else "none"


def describe(error: BaseException) -> dict[str, str]:
    """An exception as a message: its kind, text, and the student's own line that it came from."""
    where = ""
    try:
        lines = [each for each in traceback.extract_tb(error.__traceback__) if each.filename.startswith(STUDENT_FILES)]
        if lines:
            where = f"{lines[-1].filename.removeprefix(STUDENT_FILES + '/')}:{lines[-1].lineno}"
        elif isinstance(error, SyntaxError) and error.filename:
            where = f"{error.filename.removeprefix(STUDENT_FILES + '/')}:{error.lineno}"
        text = str(error.msg if isinstance(error, SyntaxError) else error)
    except BaseException:  # str() of an exception is the student's code, too
        text = ""
    kind = type(error).__name__
    if isinstance(error, AssertionError) and not text and where:
        text = linecache.getline(f"{STUDENT_FILES}/{where.split(':')[0]}", int(where.split(":")[1])).strip()
    return {"raise": f"{kind}: {text[:500]}" if text else kind, "kind": kind if isinstance(error, Exception) and
            getattr(builtins, kind, None) is type(error) else "other", "where": where}
