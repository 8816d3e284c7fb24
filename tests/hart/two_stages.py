"""A guest under two stages, for tests: where it finds its code and data, and where the entries that lead there lie."""

from __future__ import annotations

from .bench import RAM, Bench
from .tables import ALL, Tables, U

CODE_GVA, DATA_GVA = 0x1000, 0x2000
OFFSET = RAM + 0x1_0000  # GPA n lies at OFFSET + n


class Guest:
    """A machine in VS- or VU-mode at CODE_GVA = its GPA, x6 and x8 at DATA_GVA; all is mapped, all is delegated.

    own: the guest's tables. host: the G-stage's; GPA n is at OFFSET + n for 32 pages.
    """

    def __init__(self, source: str, mode: str = "VS", *, flags: int = ALL, to_vs: bool = False) -> None:
        self.bench = bench = Bench()
        self.host = Tables(bench.memory, RAM + 0x4000, gstage=True)
        for page in range(32):
            self.host.map(page << 12, OFFSET + (page << 12), ALL | U)
        user = U if mode == "VU" else 0
        self.own = Tables(bench.memory, OFFSET + 0x8000, offset=OFFSET)
        self.own.map(CODE_GVA, CODE_GVA, ALL | user)
        self.own.map(DATA_GVA, DATA_GVA, flags | user)
        bench.put(source, OFFSET + CODE_GVA)
        bench.delegate_all(to_vs=to_vs)
        bench["hgatp"], bench["vsatp"] = self.host.satp, self.own.satp
        bench.enter(mode)
        bench.hart.pc = CODE_GVA
        bench.set(x6=DATA_GVA, x8=DATA_GVA)
