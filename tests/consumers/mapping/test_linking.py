"""Which links a file requests."""

import pytest

from consumers.errors import MappingRejected
from consumers.mapping.csv_table import parse_csv
from consumers.mapping.linking import LinkRequest, read_link_requests
from tests.support.messages import whole


def test_links_from_a_file() -> None:
    """Rows without a category request nothing; both columns must exist."""
    table = parse_csv(b"category_id,key,name\n7,a,A\n,b,B\n 8 ,'=c,C\n", "f")
    assert read_link_requests(table) == [
        LinkRequest("a", "7", "line 2: "),
        LinkRequest("=c", "8", "line 4: "),
    ]
    with pytest.raises(
        MappingRejected,
        match=whole(
            "f: nothing was linked:\nthere is no column 'category_id'\ncolumns: 'key', 'id'"
        ),
    ):
        read_link_requests(parse_csv(b"key,id\n", "f"))
    with pytest.raises(
        MappingRejected,
        match=whole(
            "f: nothing was linked:\ncolumn 'category_id' occurs twice\ncolumns: 'key', 'category_id', 'category_id'"
        ),
    ):
        read_link_requests(parse_csv(b"key,category_id,category_id\na,1,2\n", "f"))
