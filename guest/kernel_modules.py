"""Linux kernel modules: which others each needs, read from the modules themselves, and their index for modprobe.

Source: Linux, include/linux/module.h (.modinfo holds NUL-terminated `name=value` strings) and modprobe(8). A Debian
package brings no modules.dep: depmod makes it where the package is installed.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping

SUFFIX = re.compile(r"\.ko(\.xz)?$")


def module_name(path: str) -> str:
    """The name by which modules refer to each other: `kernel/drivers/char/hw_random/virtio-rng.ko` is virtio_rng."""
    return SUFFIX.sub("", path.rpartition("/")[2]).replace("-", "_")


def module_facts(module: bytes) -> list[tuple[str, str]]:
    """The names and values in the .modinfo of a module (an ELF file)."""
    from elftools.elf.elffile import ELFFile  # here: the guests' build and the oracles' installer run without it

    section = ELFFile(io.BytesIO(module)).get_section_by_name(".modinfo")
    texts = section.data().decode("utf-8", "replace").split("\0") if section is not None else []
    return [(name, value) for name, _, value in (text.partition("=") for text in texts)]


def module_needs(module: bytes) -> list[str]:
    """The names of the modules that one cannot be loaded without, and those it asks for softly before itself."""
    needs: list[str] = []
    for name, value in module_facts(module):
        if name == "depends":
            needs += [need for need in value.split(",") if need]
        elif name == "softdep" and value.startswith("pre:"):
            needs += value.removeprefix("pre:").partition("post:")[0].split()
    return [need.replace("-", "_") for need in needs]


def modules_alias(modules: Mapping[str, bytes]) -> str:
    """modules.alias: by which other names, such as fs-ext4, the kernel asks for each module (name to contents)."""
    return "".join(f"alias {value} {module}\n" for module, data in modules.items()
                   for name, value in module_facts(data) if name == "alias")


def with_needs(wanted: Iterable[str], needs: Mapping[str, list[str]]) -> list[str]:
    """The wanted modules and all that they need, each after what it needs. A need that is in no module is built in.

    needs: what each module that exists needs, by name. Raises KeyError for a wanted module that does not exist.
    """
    order: list[str] = []

    def visit(name: str) -> None:
        if name not in order:
            for need in needs[name]:
                if need in needs:
                    visit(need)
            order.append(name)

    for name in wanted:
        visit(name)
    return order


def modules_dep(paths: Mapping[str, str], needs: Mapping[str, list[str]]) -> str:
    """modules.dep: for each module (name to path) the paths of all that it needs, what is to be loaded last first."""
    lines = []
    for name, path in paths.items():
        chain = [paths[need] for need in reversed(with_needs([name], needs)) if need != name]
        lines.append(f"{path}:{''.join(' ' + other for other in chain)}\n")
    return "".join(lines)
