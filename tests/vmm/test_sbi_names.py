"""Every call that the SBI serves has a name, arguments no more than it is given, and a chapter that exists."""

from __future__ import annotations

from hartvisor.core.vmm.sbi import EXTENSIONS, LEGACY, function_of
from hartvisor.core.vmm.sbi_names import call_of, is_legacy
from tests.isa.test_sections import SECTIONS


def test_all_that_is_served_has_a_name() -> None:
    for extension, functions in EXTENSIONS.items():
        for function in functions:
            call = call_of(extension, function)
            assert call.name.isidentifier(), call
            assert len(call.arguments) <= 5
            assert call.section in SECTIONS
            assert function_of(extension, function) is functions[function]
    for extension in LEGACY:
        call = call_of(extension, 0)
        assert call.name.startswith("legacy ")
        assert is_legacy(extension)
        assert call.section in SECTIONS


def test_what_is_not_served_is_told_as_such() -> None:
    assert call_of(0x54494D45, 77).name == "function 0x4d of an extension that has none such"
    assert call_of(0x999, 0).name == "extension 0x999, which is not served"
    assert {call_of(0x54494D45, 77).section, call_of(0x999, 0).section} <= SECTIONS
    assert function_of(0x999, 0) is None
