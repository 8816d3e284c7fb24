"""Lab 6's checks."""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import Final

from ...core.devices.virtio.balloon import VirtioBalloon
from ...core.machine.memory_map import MIB
from ...core.vmm.config import VmConfig
from ...core.vmm.digest import digest
from ...core.vmm.hypervisor.entitlement import Entitlement
from ...core.vmm.hypervisor.hypervisor import Hypervisor, MachineConfig
from ...core.vmm.hypervisor.memory_manager import MemoryManager
from ...core.vmm.hypervisor.scheduler import jain_index
from ...core.vmm.hypervisor.tenant import Tenant, TenantConfig
from ..judge.guests import MEMORY, Guest
from ..judge.runner import share_of_band
from ..judge.session import Session
from ..judge.trial import Trial
from ..judge.verdict import Verdict, failed, passed
from ..kit.multiplex import VmMemory
from . import programs
from .balloons import balloon_targets
from .memory import HIGH, LOW, StudentsManager, StudentsSharing, checked_targets, comparisons, saved_at_most
from .scheduling import FAIR, QUANTUM, Clients, StudentsScheduler, part

TECHNIQUES: Final = ("two-stage", "shadow", "deprivileged")
SLACK: Final = 3
"""Quanta by which a part may be missed, whatever the scheduler."""
SLACK_PAGES: Final = 50
"""Free frames more or less than wanted: guests go on while the balloons follow."""


# --- the scheduler, with numbers


def shares(trial: Trial) -> Verdict:
    """Clients that always want the machine, of which one uses little of its quanta; shares change, and one leaves."""
    random = trial.random()
    weights = [random.randrange(50, 600) for _ in range(random.randrange(3, 6))]
    clients, frugal = Clients(trial.student, weights), random.choice((0, 2))
    clients.wake(*clients.shares)
    for change in (None, "shares", "remove"):
        if change == "shares":
            clients.shares[0] = 4 * weights[0] if weights[0] < 200 else weights[0] // 4
            clients.scheduler.set_shares(0, clients.shares[0])
        elif change == "remove":
            clients.sleep(1)
            clients.scheduler.remove(1)
        weights = [clients.shares[client] for client in clients.awake]
        before = dict(clients.scheduler.received)
        for _ in range(10 * sum(weights) // min(weights)):
            trial.tick()
            clients.turn(lambda client: random.randrange(300, 600) if client == frugal else QUANTUM)
        clients.must_be_fair(before, {None: "by shares", "shares": "after set_shares"}.get(change, "after remove"))
    return passed(steps=clients.clock)


def sleepers(trial: Trial) -> Verdict:
    """Sleep is worth nothing: neither a long one, nor many short ones at the right moments."""
    random = trial.random()
    weights = [random.choice((100, 200)) for _ in range(4)]
    whole, clients = sum(weights), Clients(trial.student, weights)
    clients.wake(1, 2, 3)
    for _ in range(random.randrange(100, 200)):
        clients.turn()
    clients.wake(0)
    before = dict(clients.scheduler.received)
    for turn in range(40):
        clients.turn()
        entitled = (turn + 1) * weights[0] / whole
        had = (clients.scheduler.received[0] - before[0]) / QUANTUM
        if not entitled - SLACK <= had <= entitled + SLACK:
            part(clients.clock, "after a long sleep", "quanta of the client that slept", f"{had:g} of {turn + 1}",
                 f"about {entitled:.1f}")
    clients.must_be_fair(before, "after a long sleep")
    with trial.another() as student:
        return _naps(trial, student, random)


def _naps(trial: Trial, student: Session, random: Random) -> Verdict:
    """Client 0, with few shares, sleeps whenever it has had the machine, for a quantum or two."""
    clients = Clients(student, [random.randrange(60, 120), 300, random.randrange(200, 500)])
    clients.wake(*clients.shares)
    before, start, wakes = clients.scheduler.received[0], clients.clock, 0
    for turn in range(300):
        trial.tick()
        if 0 not in clients.awake and turn >= wakes:
            clients.wake(0)
        if clients.turn() == 0:
            clients.sleep(0)
            wakes = turn + random.randrange(1, 3)
        entitled = (clients.clock - start) * clients.shares[0] / sum(clients.shares.values()) / QUANTUM
        had = (clients.scheduler.received[0] - before) / QUANTUM
        if had > entitled * 1.1 + SLACK:
            part(clients.clock, "with naps", "quanta of the client that naps", f"{had:g}", f"{entitled:.1f} at most")
    return passed(steps=clients.clock)


def starvation(trial: Trial) -> Verdict:
    """However few its shares: each client has the machine within twice the time that they stand for."""
    random = trial.random()
    weights = [random.choice((1000, 800)), random.choice((1000, 700)), random.randrange(10, 20), 50]
    random.shuffle(weights)
    clients = Clients(trial.student, weights)
    clients.wake(*clients.shares)
    whole, most = sum(weights), 0
    for _ in range(5 * whole // min(weights) // 2):
        trial.tick()
        clients.turn()
        for client, weight in clients.shares.items():
            waited, bound = clients.clock - clients.last[client], 2 * QUANTUM * (whole // weight + len(weights))
            most = max(most, waited)
            if waited > bound:
                part(clients.clock, f"shares {weights}", f"steps that client {client} waits", waited,
                     f"{bound} at most")
    return passed(longest=most)


# --- the scheduler, with VMs


def _machine(student: Session, memory: int = 48 * MIB) -> tuple[Hypervisor, StudentsScheduler]:
    scheduler = StudentsScheduler(student)
    return Hypervisor(MachineConfig(memory=memory, quantum=QUANTUM, scheduler=lambda: scheduler)), scheduler


def _add(hypervisor: Hypervisor, name: str, guest: Guest, technique: str, weight: int = 100) -> Tenant:
    config = VmConfig(technique=technique, memory=MEMORY)
    return hypervisor.add(TenantConfig(name, config, guest.image, cpu=Entitlement(shares=weight)))


def machine(trial: Trial) -> Verdict:
    """VMs that never rest, under different techniques: the machine is theirs by shares."""
    random = trial.random()
    hypervisor, _ = _machine(trial.student)
    tenants = [_add(hypervisor, f"vm{index}", programs.busy(), TECHNIQUES[index % 3], random.randrange(50, 400))
               for index in range(4)]
    hypervisor.run(300 * QUANTUM)
    index = jain_index([tenant.used / tenant.config.cpu.shares for tenant in tenants])
    if index < FAIR:
        part(hypervisor.clock, "four VMs", "Jain's index of four VMs", f"{index:.3f}", f"{FAIR} at least")
    return passed(steps=hypervisor.clock, rounds=hypervisor.rounds)


def latency(trial: Trial) -> Verdict:
    """A VM that wakes by its timer among four that never rest: how long it waits for the machine, in steps."""
    random = trial.random()
    hypervisor, scheduler = _machine(trial.student)
    for index in range(4):
        _add(hypervisor, f"busy{index}", programs.busy(), TECHNIQUES[index % 3])
    sleeper = _add(hypervisor, "ticks", programs.ticks(random.randrange(2000, 4000)), random.choice(TECHNIQUES))
    hypervisor.run(300 * QUANTUM)
    woken, worst = sleeper.vm.hart.read_gpr(8), scheduler.waits.get(sleeper.index, hypervisor.clock)
    busy = [tenant.used for tenant in hypervisor.tenants if tenant is not sleeper]
    if woken < 10 or jain_index(busy) < FAIR:
        part(hypervisor.clock, "five VMs", "timer interrupts taken", woken, "10 at least, and the others served alike")
    share = share_of_band(worst, ((5 * QUANTUM, Fraction(1)), (10 * QUANTUM, Fraction(2, 3)),
                                  (25 * QUANTUM, Fraction(1, 3))))
    message = f"awake, it waits {worst} steps at most, where a quantum has {QUANTUM}"
    counted = {"worst": worst, "woken": woken}
    return passed(message, counted) if share == 1 else failed(message, share=share, counted=counted)


# --- memory


def _memories(random: Random) -> tuple[list[VmMemory], int]:
    vms = []
    for _ in range(random.randrange(1, 6)):
        pages = random.randrange(400)
        balloon = random.choice((0, random.randrange(pages + 1)))
        vms.append(VmMemory(random.choice((50, 100, 100, 300, 1000)), pages, balloon,
                            random.choice((0, 0, random.randrange(300)))))
    return vms, random.randrange(400)


def balloons(trial: Trial) -> Verdict:
    """balloon_target, against taking and giving page by page."""
    random = trial.random()
    for index in range(60):
        vms, free = _memories(random)
        low = random.randrange(300)
        high = low + random.randrange(1, 100)
        said = checked_targets(trial.student.call("Memory.balloon_target", vms, free, low, high), len(vms))
        wanted = balloon_targets(vms, free, low, high)
        for vm, (got, right) in enumerate(zip(said, wanted, strict=True)):
            if got != right:
                part(index, f"balloon_target({vms[vm]}, ...) with {free} free, {low} to {high} wanted",
                     f"balloon of VM {vm}", got, right)
    return passed(calls=60)


def overcommit(trial: Trial) -> Verdict:
    """Three VMs use more and more pages of a machine that has not as many: balloons see to it that nothing is swapped
    out."""
    random = trial.random()
    hypervisor = Hypervisor(MachineConfig(memory=8 * MIB, quantum=QUANTUM))
    hypervisor.memory = manager = StudentsManager(trial.student, 8 * MIB, 32 * MIB)
    weights = random.choice(((100, 150, 200), (100, 200, 150), (150, 100, 120)))
    for index, weight in enumerate(weights):
        guest = programs.balloon(random.randrange(200, 300))
        config = VmConfig(technique=random.choice(TECHNIQUES), memory=MEMORY)
        hypervisor.add(TenantConfig(f"vm{index}", config, guest.image, [VirtioBalloon()], memory_shares=weight,
                                    memory_reservation=random.choice((0, MIB)), is_balloon_ours=True))
    try:
        hypervisor.run(1_000_000)
        return _overcommitted(hypervisor, manager)
    finally:
        for tenant in hypervisor.living:
            hypervisor.stop(tenant)  # with its swap file


def _overcommitted(hypervisor: Hypervisor, manager: StudentsManager) -> Verdict:
    """How the machine stands."""
    users, clock, call = hypervisor.living, hypervisor.clock, "three VMs with balloons"
    swapped, free = sum(user.usage().swap_writes for user in users), manager.free(users)
    if swapped:
        part(clock, call, "pages swapped out", swapped, "0")
    if not LOW - SLACK_PAGES <= free <= HIGH + SLACK_PAGES:
        part(clock, call, "free frames", free, f"about {LOW} to {HIGH}")
    giving = [user for user in users if user.usage().own > user.memory_reservation and user.usage().ballooned]
    index = jain_index([user.usage().own / user.memory_shares for user in giving])
    if len(giving) > 1 and index < FAIR:
        part(clock, call, "Jain's index of pages by shares", f"{index:.3f}", f"{FAIR} at least")
    return passed(asked=manager.asked, free=free, ballooned=sum(user.usage().ballooned for user in users))


def _same_pages(random: Random, count: int) -> list[Guest]:
    """Guests of which many pages are the same, some more than once in one guest."""
    common = [random.randrange(1, 1 << 30) for _ in range(20)]
    guests = []
    for _ in range(count):
        values = [random.choice(common) if random.random() < 0.7 else random.randrange(1, 1 << 30) for _ in range(40)]
        guests.append(programs.pages(random, values, 20))
    return guests


def _shared(trial: Trial) -> tuple[int, int, int, int]:
    """VMs run, share, store to shared pages, and share again. Saved and compared, and what is right for both."""
    random = trial.random()
    manager = MemoryManager(32 * MIB)
    manager.sharing = sharing = StudentsSharing(manager.pool, trial.student)
    guests = _same_pages(random, 3)
    tenants = []
    for index, guest in enumerate(guests):
        config = VmConfig(technique=TECHNIQUES[index], memory=MEMORY)
        frames, ram = manager.admit(f"vm{index}", config, 0)
        frames.refill(600)
        tenants.append(Tenant(index, TenantConfig(f"vm{index}", config, guest.image), frames, ram))
    rams = [tenant.ram for tenant in tenants]
    saved = compared = 0
    for steps in (8_000, 40_000, 5_000):
        for tenant in tenants:
            tenant.vm.run(steps)
        sharing.settle(rams)
        given = sharing.candidates(rams)
        least, compared = saved_at_most(given, rams), compared + comparisons(given, rams)
        sharing.share_all(rams)
        if sharing.pages_saved != least:
            part(tenants[0].vm.steps, "share_pages", "frames saved", sharing.pages_saved, least)
        saved += sharing.pages_saved
    for tenant, guest in zip(tenants, guests, strict=True):
        alone = guest.start(guest.config("two-stage"))
        alone.run(tenant.vm.steps)
        if digest(tenant.vm) != digest(alone):
            part(tenant.vm.steps, "share_pages", f"digest of {tenant.name}", digest(tenant.vm), digest(alone))
    return saved, sharing.compared, compared, sum(ram.copies for ram in rams)


def sharing(trial: Trial) -> Verdict:
    """Equal pages of three VMs use one frame, unequal ones never do, and each VM is as it would be alone."""
    saved, _, _, copies = _shared(trial)
    return passed(saved=saved, copies=copies)


def comparing(trial: Trial) -> Verdict:
    """How many pairs of pages are compared, against one for each kind that a page may be of."""
    _, compared, least, _ = _shared(trial)
    percent = -(-100 * compared // max(1, least))
    share = share_of_band(percent, ((115, Fraction(1)), (300, Fraction(2, 3)), (2000, Fraction(1, 3))))
    message = f"{compared} comparisons, where {least} do: {percent} %"
    counted = {"compared": compared, "least": least}
    return passed(message, counted) if share == 1 else failed(message, share=share, counted=counted)
