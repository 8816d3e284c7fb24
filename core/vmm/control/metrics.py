"""Metrics in Prometheus' text format (version 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from ..exits import labelled
from ..hypervisor.hypervisor import Hypervisor
from ..hypervisor.lan import Lan

PAGE: int = 4096


class Metric(NamedTuple):
    """One metric. kind: counter or gauge. samples: labels and value."""

    name: str
    kind: str
    help: str
    samples: list[tuple[Mapping[str, str], float]]


def escape(value: str) -> str:
    """A label's value."""
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def expose(metrics: Iterable[Metric]) -> str:
    """The text."""
    lines = []
    for metric in metrics:
        name = f"hartvisor_{metric.name}"
        lines += [f"# HELP {name} {metric.help}", f"# TYPE {name} {metric.kind}"]
        for labels, value in metric.samples:
            inside = ",".join(f'{key}="{escape(text)}"' for key, text in labels.items())
            lines.append(f"{name}{{{inside}}} {value:g}" if inside and isinstance(value, float)
                         else f"{name}{{{inside}}} {value}" if inside else f"{name} {value}")
    return "\n".join(lines) + "\n"


def collect(hypervisor: Hypervisor, networks: Mapping[str, Lan]) -> list[Metric]:
    """All that there is to count."""
    tenants = hypervisor.tenants
    memory = hypervisor.memory
    usages = {tenant.name: tenant.usage() for tenant in tenants}

    def each(name: str, kind: str, help_: str, values: Mapping[str, float]) -> Metric:
        return Metric(f"vm_{name}", kind, help_, [({"vm": vm}, value) for vm, value in values.items()])

    def pages(name: str, kind: str, help_: str, field: str, unit: int = PAGE) -> Metric:
        return each(name, kind, help_, {vm: getattr(usage, field) * unit for vm, usage in usages.items()})

    ports = [(lan, port) for lan in networks.values() for port in lan.switch.ports]

    def port_metric(name: str, help_: str, field: str) -> Metric:
        return Metric(f"network_{name}", "counter", help_, [
            ({"network": lan.name, "port": str(port.number)}, getattr(port.counters, field)) for lan, port in ports])

    return [
        Metric("clock_steps_total", "counter", "The machine's time, in steps.", [({}, hypervisor.clock)]),
        Metric("idle_steps_total", "counter", "Of it, those in which all VMs slept.", [({}, hypervisor.idle)]),
        Metric("rounds_total", "counter", "Rounds that have been run.", [({}, hypervisor.rounds)]),
        Metric("memory_bytes", "gauge", "The machine's RAM.", [({}, memory.pool.total * PAGE)]),
        Metric("memory_free_bytes", "gauge", "Of it, what holds nothing.",
               [({}, memory.free(hypervisor.living) * PAGE)]),
        Metric("memory_saved_bytes", "gauge", "What page sharing saves.", [({}, memory.sharing.pages_saved * PAGE)]),
        Metric("vm_state", "gauge", "1 for the state that the VM is in.",
               [({"vm": tenant.name, "state": tenant.state.value}, 1) for tenant in tenants]),
        each("steps_total", "counter", "The VM's clock.", {tenant.name: tenant.vm.steps for tenant in tenants}),
        each("used_steps_total", "counter", "Steps of the machine's time that it had.",
             {tenant.name: tenant.used for tenant in tenants}),
        each("instructions_total", "counter", "Instructions retired.",
             {tenant.name: tenant.vm.instructions for tenant in tenants}),
        each("shares", "gauge", "Its weight.", {tenant.name: tenant.config.cpu.shares for tenant in tenants}),
        Metric("vm_exits_total", "counter", "Exits by reason.",
               [({"vm": tenant.name, "reason": reason}, count) for tenant in tenants
                for reason, count in labelled(tenant.vm.exits).items()]),
        pages("memory_own_bytes", "gauge", "In frames of its own.", "own"),
        pages("memory_shared_bytes", "gauge", "In frames that it shares.", "shared"),
        pages("memory_swapped_bytes", "gauge", "In the swap file.", "swapped"),
        pages("memory_ballooned_bytes", "gauge", "In its balloon.", "ballooned"),
        pages("memory_tables_bytes", "gauge", "Shadow and G-stage tables.", "tables"),
        pages("copies_total", "counter", "Stores that ended a sharing.", "copies", 1),
        pages("swap_reads_total", "counter", "Pages brought back.", "swap_reads", 1),
        pages("swap_writes_total", "counter", "Pages put away.", "swap_writes", 1),
        port_metric("sent_bytes_total", "From the card to the switch.", "sent_bytes"),
        port_metric("sent_frames_total", "From the card to the switch.", "sent_frames"),
        port_metric("received_bytes_total", "From the switch to the card.", "received_bytes"),
        port_metric("received_frames_total", "From the switch to the card.", "received_frames"),
        port_metric("dropped_frames_total", "Lost on the way to the card.", "dropped"),
    ]
