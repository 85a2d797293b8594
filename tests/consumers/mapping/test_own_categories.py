"""Own categories from CSV: what is read, and what is refused with its line."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.errors import MappingRejected
from consumers.mapping.csv_table import FORMULA, format_csv, parse_csv
from consumers.mapping.linking import LinkRequest, read_link_requests
from consumers.mapping.own_categories import Columns, read_own_categories

CELLS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from("='+-@"),
    max_size=4,
)

DEFAULT = Columns()


def imported(
    text: str, columns: Columns = DEFAULT, separator: str = " > "
) -> list[tuple[str, ...]]:
    """Return the own categories in the CSV `text`."""
    return [
        tuple(own) for own in read_own_categories(parse_csv(text.encode(), "f"), columns, separator)
    ]


@pytest.mark.parametrize("begin", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_spreadtables_write(begin: str, end: str) -> None:
    """With or without BOM, either line end, quotes, empty lines, short lines, other columns."""
    lines = ["key,name,path,more", 'a,"Mugs, ""big""",Home >  Mugs,x', "", "b,Toys", " c ,,A > B,"]
    assert imported(begin + end.join(lines) + end) == [
        ("a", 'Mugs, "big"', "Home > Mugs"),
        ("b", "Toys", "Toys"),
        ("c", "B", "A > B"),
    ]


def test_columns_and_separators() -> None:
    """They can be named; a path is joined in our way."""
    columns = Columns("no", path="where")
    assert imported("no,where\n1,/Home/ Mugs/\n", columns, "/") == [("1", "Mugs", "Home > Mugs")]
    assert imported("key,name\na,A\n") == [("a", "A", "A")]
    assert imported("key,name\n") == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "",
            "there is neither a column 'name' nor 'path'\nthere is no column 'key'\ncolumns: none",
        ),
        ("key;name\na;A\n", "columns: 'key;name'"),
        ("name\nA\n", "there is no column 'key'"),
        ("key,key,name\na,b,A\n", "column 'key' occurs twice"),
        ("key,name\n,A\nb,B\n b,\n", "line 2: it has no key\nline 4: it has neither name nor path"),
        ('key,name\na,"A\nA"\na,B\n', "line 4: its key is a duplicate ('a')"),
        ("key,name\na,A,B\n", "line 2 has 3 cells, the header 2"),
        ('key,name\na,"A\n', "line 2 is not valid CSV: unexpected end of data"),
        ("key,name\na,A\0\n", "line 2"),
        (f"key,name\n{'a' * 256},A\n", "line 2: its key has more than 255 characters"),
    ],
)
def test_what_is_refused(text: str, told: str) -> None:
    """It says in which line what is wrong, all of it."""
    with pytest.raises(MappingRejected) as caught:
        imported(text)
    assert str(caught.value).startswith("f: nothing was ")
    assert told in str(caught.value)


def test_more_than_can_be_told() -> None:
    """Of a thousand bad lines some are told, and the others counted."""
    with pytest.raises(MappingRejected) as caught:
        imported("key,name\n" + ",A\n" * 1000)
    assert len(str(caught.value).splitlines()) == 22
    assert str(caught.value).endswith("\nand 980 more")


def test_another_encoding() -> None:
    """Bytes that are no UTF-8 are refused with their line."""
    with pytest.raises(MappingRejected, match="line 3 is not UTF-8"):
        parse_csv("key,name\na,A\nb,Öl\n".encode("latin-1"), "f")


@given(st.lists(st.tuples(CELLS, CELLS.filter(bool)), max_size=3))
def test_no_cell_is_a_formula(rows: list[tuple[str, str]]) -> None:
    """What is written starts no formula anywhere, and is read back as it was."""
    text = format_csv(["a", "b"], rows)
    for row in csv.reader(io.StringIO(text, newline="")):
        assert not any(cell.startswith(FORMULA) for cell in row)
    assert [tuple(row.cells.values()) for row in parse_csv(text.encode(), "f").rows] == rows


def test_links_from_a_file() -> None:
    """Rows without a category wish nothing; both columns have to be there."""
    table = parse_csv(b"category_id,key,name\n7,a,A\n,b,B\n 8 ,'=c,C\n", "f")
    assert read_link_requests(table) == [
        LinkRequest("a", "7", "line 2: "),
        LinkRequest("=c", "8", "line 4: "),
    ]
    with pytest.raises(MappingRejected, match="there is no column 'category_id'"):
        read_link_requests(parse_csv(b"key,id\n", "f"))
    with pytest.raises(MappingRejected, match="column 'category_id' occurs twice"):
        read_link_requests(parse_csv(b"key,category_id,category_id\na,1,2\n", "f"))


def test_a_cell_of_many_candidates() -> None:
    """What was exported can be read again, however long."""
    text = format_csv(["key", "candidates"], [["a", "x" * 200_000]])
    assert parse_csv(text.encode(), "f").rows[0].cells["candidates"] == "x" * 200_000
