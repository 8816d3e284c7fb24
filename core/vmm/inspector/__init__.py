"""VMs under the glass: their present, their past, and a debugger's moves through both. No screen and no thread is known
here; whoever shows them looks through `core.vmm.views`."""

from .inspector import Inspection, Inspector, Moves

__all__ = ["Inspection", "Inspector", "Moves"]
