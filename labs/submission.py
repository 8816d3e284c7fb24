"""What a student hands in: the texts of some files."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..core.errors import ConfigError
from .lab import FILES

MAX_FILE: Final = 1 << 20
MAX_FILES: Final = 50


@dataclass(frozen=True)
class Submission:
    """texts: by file name. All that counts; it never changes."""

    texts: Mapping[str, str]

    @classmethod
    def read(cls, folder: Path) -> Submission:
        """The Python files in a folder, and predictions.toml. Raises ConfigError for a folder that is none of a lab's,
        or holds what no answer needs."""
        if not (folder / FILES[0]).is_file():
            raise ConfigError(f"{folder}: there is no {FILES[0]}; `hartvisor lab start N` makes a lab's folder")
        texts = {}
        names = sorted(path for path in folder.iterdir() if path.suffix == ".py" or path.name == FILES[2])
        if len(names) > MAX_FILES:
            raise ConfigError(f"{folder}: {len(names)} Python files; an answer has {MAX_FILES} at most")
        for path in names:
            try:
                data = path.read_bytes() if path.is_file() else b""
            except OSError as error:
                raise ConfigError(f"{path}: {error.strerror}") from None
            if len(data) > MAX_FILE:
                raise ConfigError(f"{path}: {len(data):,} bytes; a file of an answer has {MAX_FILE >> 20} MiB at most")
            texts[path.name] = data.decode("utf-8", "replace")
        return cls(texts)

    @property
    def digest(self) -> str:
        """Of names and texts: blake2b-128, as hex."""
        state = hashlib.blake2b(digest_size=16)
        for name, text in sorted(self.texts.items()):
            for part in (name.encode(), text.encode("utf-8", "surrogatepass")):
                state.update(len(part).to_bytes(8, "little") + part)
        return state.hexdigest()

    @property
    def modules(self) -> dict[str, str]:
        """The Python files."""
        return {name: text for name, text in self.texts.items() if name.endswith(".py")}

    @property
    def predictions(self) -> dict[str, object]:
        """What predictions.toml says; nothing where it is missing or no TOML (`prediction_error` tells)."""
        try:
            return tomllib.loads(self.texts.get(FILES[2], ""))
        except tomllib.TOMLDecodeError:
            return {}

    @property
    def prediction_error(self) -> str:
        """What is wrong with predictions.toml, if anything."""
        try:
            tomllib.loads(self.texts.get(FILES[2], ""))
        except tomllib.TOMLDecodeError as error:
            return f"{FILES[2]}: {error}"
        return ""
