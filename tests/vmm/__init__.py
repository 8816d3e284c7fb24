"""Tests of the hypervisor."""
