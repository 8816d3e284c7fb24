"""Tests of an exit's card."""
