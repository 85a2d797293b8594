"""CSV as spreadsheets read and write it."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.errors import MappingRejected
from consumers.mapping.csv_table import FORMULA, format_csv, parse_csv
from tests.support.messages import whole

CELLS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from("='+-@"),
    max_size=4,
)


def test_another_encoding() -> None:
    """Bytes that are not UTF-8 are rejected with their line."""
    with pytest.raises(MappingRejected, match=whole("f: nothing was read:\nline 3 is not UTF-8")):
        parse_csv("key,name\na,A\nb,Öl\n".encode("latin-1"), "f")


@given(st.lists(st.tuples(CELLS, CELLS.filter(bool)), max_size=3))
def test_no_cell_is_a_formula(rows: list[tuple[str, str]]) -> None:
    """No written cell is a formula, and each is read back unchanged."""
    text = format_csv(["a", "b"], rows)
    for row in csv.reader(io.StringIO(text, newline="")):
        assert not any(cell.startswith(FORMULA) for cell in row)
    assert [tuple(row.cells.values()) for row in parse_csv(text.encode(), "f").rows] == rows


def test_a_long_cell() -> None:
    """A cell of many candidates is read back, however long."""
    text = format_csv(["key", "candidates"], [["a", "x" * 200_000]])
    assert parse_csv(text.encode(), "f").rows[0].cells["candidates"] == "x" * 200_000
