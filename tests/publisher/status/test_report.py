"""The result of `status`: its exit code and its JSON."""

import orjson
import pytest

from publisher.core.model import Hold
from publisher.status.overview import Lag
from publisher.status.problems import CheckedCatalog, Problem
from publisher.status.report import StatusReport
from tests.publisher.status.overviews import overview

HELD = Problem("a snapshot is held", is_hold=True)
BROKEN = Problem("the last poll failed")


@pytest.mark.contract("7")
@pytest.mark.parametrize(
    ("problems", "of_redis", "code"),
    [
        ([[], []], [], 0),
        ([[HELD], []], [], 3),
        ([[HELD], [BROKEN]], [], 1),
        ([[HELD, BROKEN]], [], 1),
        ([[HELD]], ["its memory is full"], 1),
    ],
)
def test_the_exit_code(problems: list[list[Problem]], of_redis: list[str], code: int) -> None:
    """0 if all is fine, 3 if a snapshot is held, 1 if anything else is wrong."""
    report = StatusReport([CheckedCatalog(overview(), each) for each in problems], of_redis)
    assert report.exit_code == code
    assert report.to_json()["fine"] == (code == 0)


def test_the_json() -> None:
    """Programs rely on its form: names and order of all fields."""
    hold = Hold("0123456789abcdef", "2026-11-23T09:40:03.569Z", ("28 of 30",), removed=28)
    us = overview(
        status={"outcome": "held"},
        hold=hold,
        consumers={"mirror": {"epoch": "9f3c1a2b"}, "odd": None},
        lags={"mirror": Lag(3, 1.5), "odd": Lag(None, 0.0)},
    )
    assert orjson.dumps(StatusReport([CheckedCatalog(us, [HELD])], ["x"]).to_json()) == (
        b'{"fine":false,"error":"","redis":["x"],"catalogs":[{"catalog":"us","error":"",'
        b'"meta":{"count":"3","sequence":"7","offset":"1-1"},"status":{"outcome":"held"},'
        b'"hold":{"digest":"0123456789abcdef","since":"2026-11-23T09:40:03.569Z",'
        b'"reasons":["28 of 30"],"added":0,"updated":0,"removed":28,"first":[]},"lease":null,'
        b'"consumers":{"mirror":{"epoch":"9f3c1a2b"},"odd":null},"rows":3,"last_event":"1-1",'
        b'"lags":{"mirror":{"events":3,"seconds":1.5},"odd":{"events":null,"seconds":0.0}},'
        b'"problems":["a snapshot is held"]}]}'
    )
