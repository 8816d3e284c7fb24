"""The user's own keys: a TOML file of `id = "key"`, with the ids that keys.py gives."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from ...core.errors import OptionError
from .keys import MOVES, TOOLS, VIEWS
from .panels import PANELS


def config_folder() -> Path:
    """Hartvisor's folder among the user's settings (XDG)."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "hartvisor"


def read_keymap(option: Path | None) -> dict[str, str]:
    """From the file that was named, else from keys.toml in `config_folder`, if it is there. Raises OptionError, which
    names file and key."""
    path = option or config_folder() / "keys.toml"
    if option is None and not path.is_file():
        return {}
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OptionError(f"{path}: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise OptionError(f"{path}: {error}; lines such as step = \"j\" are needed") from None
    known = [key.id for key in (*MOVES, *TOOLS, *VIEWS)] + [f"panel-{panel.ID}" for panel in PANELS]
    for name, key in found.items():
        if name not in known:
            raise OptionError(f"{path}: no key is called {name}; there are {', '.join(known)}")
        if not isinstance(key, str) or not key.strip():
            raise OptionError(f"{path}: {name}: the name of a key is needed, such as \"j\" or \"ctrl+n\"")
    return dict(found)
