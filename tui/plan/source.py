"""TOML, read so that a mistake can be said with its line and key."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ...core.errors import ConfigError, HartvisorError
from ..options import parse_size

Key = tuple[str | int, ...]
"""The way to a value: names of tables, and places in arrays of tables."""

T = TypeVar("T")

HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
SETTING = re.compile(r"""\s*([A-Za-z0-9_-]+|"[^"]*"|'[^']*')\s*=""")
POSITION = re.compile(r"(.*) \(at line (\d+), column \d+\)$")
QUOTES = re.compile(r'\"\"\"|\'\'\'')


class PlanError(ConfigError):
    """A mistake in a plan; its text begins with file and line."""


def find_lines(text: str) -> dict[Key, int]:
    """The line of each table and setting, counted from 1. The text is TOML."""
    lines: dict[Key, int] = {}
    counts: dict[str, int] = {}
    table: Key = ()
    is_inside = False  # a string of several lines
    for number, line in enumerate(text.splitlines(), 1):
        was_inside = is_inside
        if len(QUOTES.findall(line)) % 2:
            is_inside = not is_inside
        if was_inside:
            continue
        header, setting = HEADER.match(line), SETTING.match(line)
        if header:
            name = header[2].strip("\"'")
            if header[1] == "[[":
                counts[name] = counts.get(name, -1) + 1
                table = (name, counts[name])
            else:
                table = tuple(part.strip() for part in name.split("."))
            lines.setdefault(table, number)
        elif setting:
            lines.setdefault((*table, setting[1].strip("\"'")), number)
    return lines


class Source:
    """A plan's text. Raises PlanError where it cannot be read, or is not TOML."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text(encoding="utf-8")
            self.data: dict[str, Any] = tomllib.loads(text)
        except OSError as error:
            raise PlanError(f"{path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise PlanError(f"{path}: not UTF-8 text") from error
        except tomllib.TOMLDecodeError as error:
            match = POSITION.match(str(error))
            line, why = (match[2], match[1]) if match else (str(text.count("\n") + 1), str(error))
            raise PlanError(f"{path}:{line}: not TOML: {why}") from error
        self._lines = find_lines(text)

    def error(self, key: Key, text: str) -> PlanError:
        """The mistake `text`, at the line of the value that `key` leads to, or of the table that it is in."""
        at = key
        while at and at not in self._lines:
            at = at[:-1]
        return PlanError(f"{self.path}:{self._lines.get(at, 1)}: {text}")


class Table:
    """One table of a plan: its settings are asked for by key and type. what: for people, such as `vm "web"`."""

    def __init__(self, source: Source, key: Key, data: Any, what: str) -> None:
        self.source = source
        self.key = key
        self.what = what
        if not isinstance(data, dict):
            raise self.error(None, "must be a table")
        self._data: dict[str, Any] = data
        self._known: list[str] = []

    def error(self, name: str | None, text: str) -> PlanError:
        """A mistake in the setting `name`, or in the table as a whole."""
        key = self.key if name is None else (*self.key, name)
        where = self.what if name is None else f"{self.what}: {name}"
        return self.source.error(key, f"{where}: {text}")

    def _get(self, name: str, kind: type[T] | tuple[type[Any], ...], default: Any, wanted: str) -> Any:
        self._known.append(name)
        if name not in self._data:
            return default
        value = self._data[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise self.error(name, f"{value!r}: give {wanted}")
        return value

    def has(self, name: str) -> bool:
        """Whether it is set."""
        return name in self._data

    def text(self, name: str, default: str | None = None) -> str:
        """A string; one that must be there where there is no default."""
        value = self._get(name, str, default, "a string")
        if value is None:
            raise self.error(None, f"has no {name}")
        return str(value)

    def maybe(self, name: str) -> str | None:
        """A string, or None."""
        return self.text(name) if self.has(name) else self._get(name, str, None, "")

    def number(self, name: str, default: int, least: int = 0, most: int | None = None) -> int:
        """A whole number within bounds."""
        range_ = f"{least} or more" if most is None else f"{least} to {most}"
        value = int(self._get(name, int, default, f"a whole number, {range_}"))
        if value < least or (most is not None and value > most):
            raise self.error(name, f"{value}: give {range_}")
        return value

    def permille(self, name: str, default: int) -> int:
        """A percentage, 0 to 100, in steps of 0.1, as thousandths."""
        value = float(self._get(name, (int, float), default / 10, "a percentage, 0 to 100"))
        if not 0 <= value <= 100:
            raise self.error(name, f"{value:g}: give a percentage, 0 to 100")
        return round(value * 10)

    def size(self, name: str, default: str) -> int:
        """Bytes: "128M"."""
        value = self._get(name, str, default, 'a size as a string, such as "128M"')
        return self.take(name, lambda: parse_size(value, name))

    def flag(self, name: str, default: bool) -> bool:
        """true or false."""
        return bool(self._get(name, bool, default, "true or false"))

    def choice(self, name: str, default: str, choices: Sequence[str]) -> str:
        """One of some words."""
        value = self.text(name, default)
        if value not in choices:
            raise self.error(name, f"no {value!r}; there are {', '.join(choices)}")
        return value

    def entries(self, name: str, shorthand: str) -> list[Table]:
        """An array, of strings or of tables; a string stands for a table with that one setting."""
        found = self._get(name, list, [], f"an array of strings, or of tables with {shorthand}")
        tables = []
        for index, entry in enumerate(found):
            if isinstance(entry, str):
                entry = {shorthand: entry}
            tables.append(Table(self.source, (*self.key, name, index), entry, f"{self.what}: {name}[{index}]"))
        return tables

    def names(self, name: str) -> list[str]:
        """An array of strings."""
        found = self._get(name, list, [], "an array of strings")
        if not all(isinstance(entry, str) for entry in found):
            raise self.error(name, "give an array of strings")
        return list(found)

    def array(self, name: str) -> list[Any]:
        """An array of tables."""
        return list(self._get(name, list, [], f"tables, each under [[{name}]]"))

    def table(self, name: str) -> Any:
        """A table."""
        return self._get(name, dict, {}, f"a table: [{name}]")

    def take(self, name: str | None, make: Callable[[], T]) -> T:
        """What `make` gives; a mistake that it finds is one of the setting `name`, or of the table."""
        try:
            return make()
        except PlanError:
            raise
        except HartvisorError as error:
            raise self.error(name, str(error)) from error

    def done(self) -> None:
        """All that may be there has been asked for."""
        for name in self._data:
            if name not in self._known:
                close = difflib.get_close_matches(name, self._known, 1)
                hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(sorted(self._known))}"
                raise self.error(name, f"no such setting; {hint}")
