"""What a complete hypervisor extension has to do, line by line, and the tests that hold ours to each line.

The lines are a checklist's against the privileged manual (hypervisor chapter 1.0, and the trap and paging chapters); a
test is named by its file under tests/ (or, without a folder, under tests/hart), its class if it has one, and itself.
Here every line must name tests that exist.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path

import pytest

from hartvisor.core.isa.extensions import DEFAULT_ISA, PROFILES

TESTS = Path(__file__).parents[1]
ROWS = "conformance/test_rows.py::test_every_row_does_on_qemu_what_it_does_here"
CSRS = "conformance/test_csrs.py::"
CSRS_H = "test_h_extension.py::TestCsrs::"
IRQS = "test_h_extension.py::TestDelegationAndInterrupts::"
EXCEPTIONS = "test_h_extension.py::TestExceptions::"
INSTRUCTIONS = "test_h_translation.py::TestInstructions::"
STAGES = "test_h_translation.py::TestTwoStageTranslation::"
U_MODE = "test_h_translation.py::TestDeprivileging::"
GUESTS = "vmm/test_deprivileged.py::"

CHECKLIST: dict[str, tuple[str, ...]] = {
    # Target
    "RVA22S64 with Sha, Sstc and Sscofpmf": ("test_h_checklist.py::test_the_target_is_there",),
    "all of it can be left out, and then is not there": (
        "test_extensions.py::test_what_is_left_out_is_illegal_in_every_mode",
        "test_extensions.py::test_csrs_of_what_is_left_out_do_not_exist",
        EXCEPTIONS + "test_without_the_extension_code_runs_as_before"),
    # CSRs
    "the HS and VS CSRs, their numbers and who has them": (
        CSRS_H + "test_hs_mode_has_the_hypervisors_and_the_guests", CSRS + "test_every_csr_traps_where_qemus_does"),
    "their reset values and writable bits": (
        CSRS + "test_every_csr_has_qemus_value_at_reset", CSRS + "test_writes_change_what_qemus_or_the_manual_says"),
    "hstateen0-3": ("test_stateen.py::test_gates", "test_stateen.py::test_what_mstateen_closes_is_zero_in_hstateen"),
    "those of Ssaia only with it": (CSRS_H + "test_those_of_ssaia_are_illegal",),
    "mtinst, mtval2, mstatus.MPV and GVA": (CSRS_H + "test_m_mode_has_mtinst_and_mtval2_and_the_status_bits",
                                            EXCEPTIONS + "test_mtval2_and_mtinst_are_m_modes"),
    "no VS copy of senvcfg, scounteren, scontext": (CSRS_H + "test_what_has_no_vs_copy_is_shared",),
    "a VS copy of the others": (CSRS_H + "test_what_has_a_vs_copy_is_not",
                                CSRS + "test_every_vs_twin_is_what_vs_mode_has_at_the_supervisors_number"),
    "hstatus's fields": (CSRS_H + "test_hstatus_has_these_fields",),
    "SPVP is written only if V was 1": (CSRS_H + "test_spvp_is_written_only_by_traps_from_a_guest",),
    "a faulting HLV or HSV gives SPV=0, GVA=1": (CSRS_H + "test_a_faulting_hlv_gives_gva_without_spv",),
    "hgatp is WARL; satp at V=1 ignores an unsupported mode whole": (
        CSRS_H + "test_hgatp_keeps_its_mode_where_satp_at_v1_ignores_the_write",),
    # Delegation and interrupts
    "hedeleg's read-only zeros": (IRQS + "test_hedeleg_read_only_zero_bits",),
    "hideleg 10/6/2 writable, mideleg 10/6/2 read-only one": (IRQS + "test_hideleg_and_mideleg",),
    "renumbered to 9/5/1 on delivery to VS": (
        IRQS + "test_vs_level_interrupts_arrive_in_vs_mode_under_the_supervisors_numbers",
        IRQS + "test_not_delegated_they_arrive_in_hs_mode_under_their_own"),
    "priority at HS": (IRQS + "test_priority_at_hs", "test_hpm.py::TestInterrupt::test_it_has_the_lowest_priority"),
    "hvip, hip, hie, vsip, vsie alias one another": (
        IRQS + "test_hvip_hip_and_vsip_alias", IRQS + "test_hie_and_vsie_alias_mie",
        IRQS + "test_sip_and_sie_do_not_show_vs_level_interrupts",
        "test_interrupts.py::TestPendingBits::test_hvip_shows_in_hip_mip_and_shifted_in_vsip"),
    "vstimecmp compares time + htimedelta": ("test_sstc.py::test_guests_timer_arrives_under_the_supervisors_number",
                                             "test_counters.py::test_time_in_a_guest_has_the_hypervisors_delta"),
    "gated by henvcfg.STCE and hcounteren.TM": ("test_sstc.py::test_who_may_access",
                                                "test_sstc.py::test_henvcfgs_bit_is_zero_while_menvcfgs_is"),
    # Exceptions
    "causes 8 to 11 of ecall, 10 from VS": (EXCEPTIONS + "test_ecalls_have_causes_by_mode",),
    "causes 20, 21, 23": (EXCEPTIONS + "test_guest_page_faults",
                          "test_translation.py::TestTwoStageFaults::test_a_guest_page_fault_never_goes_to_the_guest"),
    "cause 22, every case": (EXCEPTIONS + "test_virtual_instruction", EXCEPTIONS + "test_illegal_instruction",
                             EXCEPTIONS + "test_a_virtual_instructions_tval_is_its_bits", ROWS),
    "FS or VS off is 2, never 22": (EXCEPTIONS + "test_a_unit_that_is_off_is_illegal_never_virtual",
                                    "test_float_state.py::test_off_makes_everything_illegal"),
    "TSR and TVM do not apply in VS; VTSR, VTVM, VTW do": (EXCEPTIONS + "test_no_exception",
                                                           EXCEPTIONS + "test_virtual_instruction"),
    "the exception priority table": (
        "test_priority.py::TestFetch::test_an_address_breakpoint_is_first",
        "test_priority.py::TestFetch::test_then_what_translation_meets_first",
        "test_priority.py::TestFetch::test_then_the_physical_address",
        "test_priority.py::TestFetch::test_in_a_guest_the_second_stage_is_met_entry_by_entry",
        "test_priority.py::TestInstruction::test_illegal_and_virtual_come_before_a_watchpoint",
        "test_priority.py::TestInstruction::"
        "test_a_watchpoint_comes_before_misalignment_and_misalignment_before_translation",
        "test_priority.py::TestAccess::test_translation_comes_before_the_physical_address",
        "test_priority.py::TestAccess::test_in_a_guest_its_own_leaf_comes_before_the_second_stage_of_the_page",
        "test_priority.py::TestAccess::test_in_a_guest_the_second_stage_comes_before_pmp"),
    "htval and mtval2 are GPA>>2": (EXCEPTIONS + "test_guest_page_faults",
                                    EXCEPTIONS + "test_mtval2_and_mtinst_are_m_modes",
                                    EXCEPTIONS + "test_a_straddling_access_has_its_distance_in_rs1"),
    "the transformed instruction": (
        EXCEPTIONS + "test_the_transformed_instruction",
        EXCEPTIONS + "test_a_straddling_access_has_its_distance_in_rs1",
        EXCEPTIONS + "test_a_fetch_that_faults_leaves_no_instruction"),
    "0x3000 and 0x3020 for implicit accesses": (
        EXCEPTIONS + "test_an_implicit_read_leaves_the_pseudo_instruction",
        "test_svadu.py::TestSvaduInTwoStages::"
        "test_an_update_that_the_g_stage_forbids_reports_a_write_of_an_entry"),
    "zero on interrupts": (IRQS + "test_not_delegated_they_arrive_in_hs_mode_under_their_own",
                           EXCEPTIONS + "test_it_is_zero_for_other_exceptions"),
    # Instructions
    "HLV and HSV of every width, also from U with hstatus.HU": (
        INSTRUCTIONS + "test_loads_of_every_width", INSTRUCTIONS + "test_stores_of_every_width", ROWS),
    "their permissions; HLVX": (INSTRUCTIONS + "test_every_permission",
                                INSTRUCTIONS + "test_every_permission_of_the_second_stage",
                                INSTRUCTIONS + "test_hs_modes_own_sum_and_translation_do_not_matter"),
    "HFENCE.GVMA's rs1 is GPA>>2": (INSTRUCTIONS + "test_hfence_gvma_takes_a_gpa_shifted_right_by_2",
                                    "test_caches.py::TestStale::test_which_fence_drops_the_old_translation"),
    "TVM traps HFENCE.GVMA, not HFENCE.VVMA": (EXCEPTIONS + "test_illegal_instruction",
                                               EXCEPTIONS + "test_no_exception"),
    "SINVAL, HINVAL; SFENCE.W.INVAL and SFENCE.INVAL.IR never by (V)TVM": ("test_svinval.py::test_permissions",),
    # Two-stage translation
    "a 16 KiB root, PPN[1:0]=0": (STAGES + "test_the_root_is_16_kib_and_its_pointer_aligned",),
    "high bits of a GPA are zero": (STAGES + "test_high_bits_of_a_gpa_must_be_zero",
                                    "test_paging.py::test_the_top_of_the_guest_physical_range"),
    "the G-stage checks as U": (STAGES + "test_the_second_stage_checks_as_u_mode",),
    "its G bit is ignored": (STAGES + "test_its_g_bit_is_ignored",),
    "entries are accessed as loads and stores, reported as the original type": (
        STAGES + "test_entries_are_read_as_loads_and_reported_as_the_access",
        STAGES + "test_no_mxr_lets_entries_be_read_from_executable_pages",
        "test_svadu.py::TestSvaduInTwoStages::test_and_so_it_does_when_a_hypervisor_accesses_its_guest"),
    "HS's MXR overrides both stages, vsstatus.MXR the first": (
        INSTRUCTIONS + "test_every_permission_of_the_second_stage", INSTRUCTIONS + "test_every_permission"),
    "Svnapot in both stages": (STAGES + "test_pages_of_64_kib_in_either_stage",
                               "test_paging.py::TestSvnapot::test_other_sizes_are_reserved"),
    "Svpbmt: value 3 faults; menvcfg for the G-stage, henvcfg for VS": (
        "test_paging.py::TestSvpbmt::test_types_need_menvcfg_pbmte",
        "test_paging.py::TestSvpbmt::test_henvcfg_gates_the_guests_tables_and_menvcfg_the_hypervisors"),
    "Svade faults, Svadu sets A and D": (
        "test_svadu.py::TestSvadu::test_a_is_set_by_any_access_and_d_by_stores",
        "test_svadu.py::TestSvaduInTwoStages::test_each_stage_sets_its_own",
        "test_svadu.py::TestSvaduInTwoStages::test_henvcfg_governs_the_guests_entries",
        "test_svadu.py::TestSvaduInTwoStages::test_menvcfg_governs_the_hypervisors_entries"),
    "15, 24 and 35 reads of entries, nothing cached": (
        "test_paging.py::test_a_cold_two_stage_walk_reads_as_many_entries_as_the_manual_counts",),
    "every walk as the manual's algorithm": (
        "test_paging.py::test_accesses_follow_the_manuals_algorithm_and_leave_its_a_and_d_bits",
        "test_translation.py::test_walks_end_where_the_manuals_algorithm_does"),
    # De-privileging in U-mode
    "counters trap while scounteren is 0": (U_MODE + "test_counters_trap_while_scounteren_is_zero",
                                            GUESTS + "test_counters_are_the_guests_in_both_its_modes"),
    "WFI in U-mode traps": (U_MODE + "test_what_is_privileged_traps",
                            GUESTS + "test_what_is_the_supervisors_is_illegal_in_the_guests_u_mode"),
    "CBO and FIOM follow the guest's senvcfg": (GUESTS + "test_senvcfg_is_the_guests_own_in_its_u_mode",
                                                "vmm/test_cache_blocks.py::test_alike_under_every_technique"),
    "FS is mirrored; Dirty and SD are merged on read": (GUESTS + "test_fs_is_the_guests_and_becomes_dirty",),
    "ECALL is cause 8 from both modes": (
        U_MODE + "test_an_ecall_is_cause_8_from_either_of_the_guests_modes",
        GUESTS + "test_an_ecall_of_a_process_goes_to_its_kernel_and_the_kernels_to_the_firmware"),
    "what is of higher privilege is reflected as illegal": (
        GUESTS + "test_what_belongs_to_higher_levels_is_illegal",),
    "SUM and MXR take effect with no fence": (U_MODE + "test_sum_and_mxr_take_effect_with_no_fence",
                                              GUESTS + "test_sum_and_mxr_take_effect_with_no_fence"),
    "S-mode never executes a U page": (U_MODE + "test_s_mode_never_executes_user_pages",
                                       GUESTS + "test_the_kernel_never_executes_a_user_page"),
    "supervisor and user pages in one U-mode": (
        GUESTS + "test_a_user_page_and_a_supervisors_are_told_apart_in_either_mode",),
    "virtual interrupts wait for the guest's enables": (
        U_MODE + "test_supervisor_interrupts_are_always_enabled_in_u_mode",
        GUESTS + "test_interrupts_wait_for_the_guests_own_enables"),
    "in the manual's order": ("vmm/test_vm.py::test_external_software_timer_is_the_order_of_interrupts",),
    "a GPA outside the memory map is an access fault": (
        GUESTS + "test_a_gpa_outside_the_memory_map_is_an_access_fault",
        GUESTS + "test_a_page_table_outside_the_memory_map_is_an_access_fault_of_the_original_type"),
    "A and D: Svade, or Svadu by FWFT": (GUESTS + "test_a_and_d_bits_are_the_kernels_to_set",
                                         "vmm/test_sbi_fwft.py::test_the_hart_sets_a_and_d_alike_under_every_technique"),
    "a root that is freed and reused": (GUESTS + "test_an_address_space_whose_root_is_reused_is_a_new_one",),
    "stale entries": ("vmm/test_shadow_pager.py::"
                      "test_shadow_tables_are_exact_at_every_stop_though_the_guest_never_fences",
                      GUESTS + "test_an_entry_that_becomes_valid_needs_no_fence_here"),
    "sfence.vma traps in U-mode, and rd is zero": (U_MODE + "test_sfence_vma_with_a_destination_is_illegal_everywhere",
                                                   GUESTS + "test_sfence_vma_with_a_destination_is_illegal"),
    # Hypervisor's contract
    "world switch: vsatp=0, hgatp, vsatp": (U_MODE + "test_world_switch_order_leaves_no_mixed_translation",),
    "reservations": ("test_atomics.py::test_an_exit_that_the_guest_cannot_see_keeps_the_reservation",
                     "test_atomics.py::test_a_trap_and_a_return_break_the_reservation",
                     "vmm/test_equivalence.py::test_an_interrupt_breaks_the_reservation"),
    "snapshots carry everything": ("vmm/test_snapshots.py::test_going_back_and_on_again_gives_the_same_run",
                                   "vmm/test_snapshots.py::test_restored_under_another_technique_it_goes_on_alike"),
    "SBI: BASE, TIME, IPI, RFENCE, HSM, SRST, DBCN": (
        "vmm/test_sbi.py::test_base", "vmm/test_sbi.py::test_the_timer_is_pending_from_its_deadline_on",
        "vmm/test_sbi.py::test_ipi_sets_ssip_of_the_harts_in_the_mask",
        "vmm/test_sbi.py::test_remote_fences_reach_this_hart", "vmm/test_sbi.py::test_hsm_knows_its_hart",
        "vmm/test_sbi.py::test_system_reset_powers_off", "vmm/test_sbi.py::test_debug_console_writes"),
    "SBI: PMU, SUSP, FWFT": (
        "vmm/test_sbi_pmu.py::test_hardware_counters_are_alike_under_every_technique",
        "vmm/test_sbi_susp.py::test_a_timer_wakes_the_system_where_it_asked_to_resume",
        "vmm/test_sbi_fwft.py::test_a_locked_feature_keeps_its_value_until_the_hart_is_reset"),
}


@lru_cache
def names_in(file: Path) -> frozenset[str]:
    """The tests of a file, as Class::test or test."""
    found = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        members = node.body if isinstance(node, ast.ClassDef) else [node]
        prefix = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        found |= {prefix + one.name for one in members
                  if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")}
    return frozenset(found)


@pytest.mark.parametrize("line", CHECKLIST)
def test_line_has_tests(line: str) -> None:
    assert CHECKLIST[line]
    for name in CHECKLIST[line]:
        file, _, test = name.partition("::")
        path = TESTS / file if "/" in file else TESTS / "hart" / file
        assert test in names_in(path), name


def test_the_target_is_there() -> None:
    sha = {"H", "Ssstateen", "Shcounterenw", "Shvstvala", "Shtvala", "Shvstvecd", "Shvsatpa", "Shgatpa"}
    beyond = {"Sstc", "Sscofpmf", "Sv48", "Sv57", "Svadu", "Svnapot", "Zbc", "Zicond", "Zawrs", "Zacas", "Zfa", "Zcb",
              "Smstateen", "Smepmp", "Sdtrig"}
    assert set(PROFILES["rva22s64"]) | sha | beyond <= DEFAULT_ISA
