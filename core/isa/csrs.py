"""The CSR table: one row a register, read by hart, assembler, disassembler, exit explanations and documentation."""

from __future__ import annotations

from .csr import Csr, Field
from .csrs_aia import AIA_CSRS
from .csrs_hypervisor import HYPERVISOR_CSRS, VS_CSRS
from .csrs_machine import MACHINE_CSRS, PMPCFG_FIELDS
from .csrs_supervisor import SUPERVISOR_CSRS, USER_CSRS

__all__ = ["BY_NAME", "BY_NUMBER", "CSRS", "PMPCFG_FIELDS", "Csr", "Field"]

CSRS: tuple[Csr, ...] = USER_CSRS + SUPERVISOR_CSRS + VS_CSRS + HYPERVISOR_CSRS + MACHINE_CSRS + AIA_CSRS

BY_NAME: dict[str, Csr] = {csr.name: csr for csr in CSRS}
BY_NUMBER: dict[int, Csr] = {csr.number: csr for csr in CSRS}
