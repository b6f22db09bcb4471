"""A spreadsheet runs no cell, and every cell is read back as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.tables.formulas import defused, undefused


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b"])
def test_a_formula_begins_with_an_apostrophe(first):
    assert defused(f"{first}cmd|'/c calc'!A1") == f"'{first}cmd|'/c calc'!A1"


@pytest.mark.parametrize("cell", ["", "a=1", "'quoted'", "it's -1", " =1", "1-1"])
def test_any_other_cell_stays(cell):
    assert defused(cell) == undefused(cell) == cell


@given(st.text(st.sampled_from("'=+-@\t\ra")) | st.text())
def test_any_cell_is_read_back(cell):
    assert undefused(defused(cell)) == cell
    assert not defused(cell).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
