"""Looking: what panels want to see is collected from the inspection; what cannot be seen has a reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...core.errors import HartvisorError
from ...core.vmm.inspector import Inspection

Collector = Callable[[Inspection], Any]
"""Makes a panel's view. Runs in the engine's thread, or in the process that runs the VMs."""


def collect_views(inspection: Inspection, wanted: Mapping[str, Collector]) -> tuple[dict[str, Any], dict[str, str]]:
    """The views by their panels, and the reasons of those that failed: one panel's bug leaves the others whole."""
    views: dict[str, Any] = {}
    failures: dict[str, str] = {}
    for name, collect in wanted.items():
        try:
            views[name] = collect(inspection)
        except HartvisorError as error:
            failures[name] = str(error)
        except Exception as error:
            failures[name] = f"this view failed ({type(error).__name__}: {error}); that is a bug of Hartvisor's"
    return views, failures
