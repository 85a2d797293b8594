"""Own categories from CSV: what is read, and what is rejected."""

import pytest

from consumers.errors import MappingRejected
from consumers.mapping.csv_table import parse_csv
from consumers.mapping.own_categories import Columns, read_own_categories

DEFAULT = Columns()


def read(text: str, columns: Columns = DEFAULT, separator: str = " > ") -> list[tuple[str, ...]]:
    """Return the own categories in the CSV `text`."""
    return [
        tuple(own) for own in read_own_categories(parse_csv(text.encode(), "f"), columns, separator)
    ]


@pytest.mark.parametrize("begin", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_files_of_spreadsheets(begin: str, end: str) -> None:
    """BOM or not, both line ends, quotes, empty lines, short lines, other columns."""
    lines = ["key,name,path,more", 'a,"Mugs, ""big""",Home >  Mugs,x', "", "b,Toys", " c ,,A > B,"]
    assert read(begin + end.join(lines) + end) == [
        ("a", 'Mugs, "big"', "Home > Mugs"),
        ("b", "Toys", "Toys"),
        ("c", "B", "A > B"),
    ]


def test_columns_and_separators() -> None:
    """Columns and separator can be named; paths are joined with ` > `."""
    columns = Columns("no", path="where")
    assert read("no,where\n1,/Home/ Mugs/\n", columns, "/") == [("1", "Mugs", "Home > Mugs")]
    assert read("key,name\na,A\n") == [("a", "A", "A")]
    assert read("key,name\n") == []


@pytest.mark.parametrize(
    ("text", "outcome", "problems"),
    [
        ("", "imported", ["there is neither a column 'name' nor 'path'", "there is no column 'key'", "columns: none"]),
        ("key;name\na;A\n", "imported", ["there is neither a column 'name' nor 'path'", "there is no column 'key'", "columns: 'key;name'"]),
        ("name\nA\n", "imported", ["there is no column 'key'", "columns: 'name'"]),
        ("key,key,name\na,b,A\n", "imported", ["column 'key' occurs twice", "columns: 'key', 'key', 'name'"]),
        ("key,name\n,A\nb,B\n b,\n", "imported", ["line 2: it has no key", "line 4: it has neither name nor path ('b')"]),
        ('key,name\na,"A\nA"\na,B\n', "imported", ["line 4: its key is a duplicate ('a')"]),
        ("key,name\na,A,B\n", "read", ["line 2 has 3 cells, the header 2"]),
        ('key,name\na,"A\n', "read", ["line 2 is not valid CSV: unexpected end of data"]),
        ("key,name\na,A\0\n", "imported", ["line 2: it contains NUL, which no database accepts ('a')"]),
        (f"key,name\n{'a' * 256},A\n", "imported", ["line 2: its key has more than 255 characters ('" + "a" * 256 + "')"]),
    ],
)  # fmt: skip
def test_a_file_with_wrong_lines_is_rejected(text: str, outcome: str, problems: list[str]) -> None:
    """The error names all wrong lines and what is wrong."""
    with pytest.raises(MappingRejected) as caught:
        read(text)
    assert str(caught.value).splitlines() == [f"f: nothing was {outcome}:", *problems]


def test_the_whole_message_about_wrong_lines() -> None:
    """Each line has its fault and, if it has one, its key."""
    wrong = f",A\n{'a' * 256},A\nb,\nc,A\0\nd,D\nd,E\n"
    with pytest.raises(MappingRejected) as caught:
        read(f"key,name\n{wrong}")
    assert str(caught.value).splitlines() == [
        "f: nothing was imported:",
        "line 2: it has no key",
        f"line 3: its key has more than 255 characters ({'a' * 256!r})",
        "line 4: it has neither name nor path ('b')",
        "line 5: it contains NUL, which no database accepts ('c')",
        "line 7: its key is a duplicate ('d')",
    ]
    with pytest.raises(MappingRejected) as caught:
        read("key;name\na;A\n")
    assert str(caught.value).splitlines() == [
        "f: nothing was imported:",
        "there is neither a column 'name' nor 'path'",
        "there is no column 'key'",
        "columns: 'key;name'",
    ]


def test_many_wrong_lines() -> None:
    """Of a thousand wrong lines some are named, and the others counted."""
    with pytest.raises(MappingRejected) as caught:
        read("key,name\n" + ",A\n" * 1000)
    assert len(str(caught.value).splitlines()) == 22
    assert str(caught.value).endswith("\nand 980 more")
