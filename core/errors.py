"""Errors that a user can cause; each ends as one clear line and exit status 2, never a traceback.

    HartvisorError          anything below
    ├── ImageError          a guest image: missing, truncated, of another machine, or too big for memory
    ├── OptionError         a command-line option or argument with a bad value
    ├── ConfigError         a machine or VM that cannot be built as described
    ├── TraceError          a trace file that is none, or is damaged
    └── AssemblyError       assembly source that does not assemble: file, line, and what would be right

Guest behaviour never raises any of these: a guest's fault is a trap.
"""

from __future__ import annotations


class HartvisorError(Exception):
    """A mistake of the user's; its text is one line that says what would be right."""


class ImageError(HartvisorError):
    """A guest image that cannot be loaded."""


class OptionError(HartvisorError):
    """A command-line option or argument whose value cannot be used."""


class ConfigError(HartvisorError):
    """A machine or VM description that contradicts itself or asks for what does not exist."""


class TraceError(HartvisorError):
    """A trace file that cannot be read, or be written."""


class AssemblyError(HartvisorError):
    """Assembly source that does not assemble.

    `file` and `line` (counted from 1) say where; the text of the error is `file:line: message`.
    """

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file = file
        self.line = line
        self.message = message
