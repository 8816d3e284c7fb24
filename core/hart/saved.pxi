# A hart's whole state as plain values, and back: for snapshots, which must find in it all that decides what comes next.

def saved(Hart hart):
    """A dict of names to plain values."""
    cdef HartState* h = hart.state
    if h.event != EVENT_NONE or hart.mmio_waits:
        raise ValueError("a hart can be saved between steps only: its device access or exception waits for an answer")
    hpm_update(h, h.steps)
    return {
        "isa": " ".join(sorted(hart.isa)),
        "pc": h.pc, "privilege": h.privilege, "virtual": int(h.virtual), "waiting": int(h.waiting),
        "gprs": hart.read_gprs(), "fprs": hart.read_fprs(),
        "reservation": hart.reservation,
        "steps": h.steps, "idle_steps": h.idle_steps, "guest_traps": h.guest_traps,
        "mtimecmp": h.mtimecmp, "mtime_offset": h.mtime_offset, "lines": h.lines,
        "idle_reported": int(h.idle_reported),
        "csrs": {number: h.csr[number] for number in range(4096) if h.has_csr[number] and h.csr[number]},
        "files": tuple([int(part) for i in range(h.n_files) for part in file_state(&h.files[i])]),
        "priorities": tuple([h.iprio[array][i] for array in range(2 if h.n_files else 0) for i in range(64)]),
        "triggers": tuple([value for trigger in hart.triggers for value in trigger]),
    }


def become(Hart hart, state):
    """Take on a saved state. What derives from it (which counters run, what is armed, translations) is found anew."""
    cdef HartState* h = hart.state
    cdef int number
    csrs, triggers = state["csrs"], state["triggers"]
    other = set(state["isa"].split()) ^ hart.isa
    if other:
        raise ValueError(f"the saved hart differs from this one in its extensions: {', '.join(sorted(other))}")
    if len(state["files"]) != 4 * h.n_files:
        raise ValueError(f"the saved hart has {len(state['files']) // 4} interrupt files, this one {h.n_files}")
    h.event = EVENT_NONE
    hart.mmio_waits = False
    h.pc = state["pc"]
    h.privilege = state["privilege"]
    h.virtual = state["virtual"]
    h.waiting = state["waiting"]
    hart.write_gprs(state["gprs"])
    hart.write_fprs(state["fprs"])
    hart.reservation = state["reservation"]
    h.steps, h.idle_steps, h.guest_traps = state["steps"], state["idle_steps"], state["guest_traps"]
    h.mtimecmp, h.mtime_offset, h.lines = state["mtimecmp"], state["mtime_offset"], state["lines"]
    h.idle_reported = state["idle_reported"]
    for number in range(4096):
        if h.has_csr[number]:
            h.csr[number] = csrs.get(number, 0)
    for number in range(h.n_files):
        file = state["files"][4 * number:4 * number + 4]
        file_restore(h, number, file[0], file[1], file[2], file[3])
    for number, priority in enumerate(state["priorities"]):
        h.iprio[number // 64][number % 64] = priority
    hart.triggers = [triggers[i:i + 3] for i in range(0, len(triggers), 3)]
    h.reported_step = EVERY_BIT         # no breakpoint has been reported of this state
    hpm_rebase(h, h.steps)
    hpm_select(h)
    pmp_update(h)
    contexts_update(h)
    hart_flush(h)
    h.irq_check = True
    hart.clock_moved()
