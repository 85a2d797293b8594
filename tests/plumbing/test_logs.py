"""Logs go to stderr, as JSON or for people, from the configured level on."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from plumbing import logs
from plumbing.config.settings import CommonSettings


@pytest.fixture(autouse=True)
def _configuration_of_the_other_tests() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_writes_json_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A line has the level, the time and the facts; names are not escaped."""
    log = logs.logger("test")
    logs.configure(CommonSettings())
    log.debug("not shown")
    log.info("snapshot has warnings", catalog="us", name="Käse")
    written, errors = capsys.readouterr()
    assert written == ""
    line = json.loads(errors)
    moment = line.pop("timestamp")
    assert moment.endswith("Z")
    assert abs(datetime.now(UTC) - datetime.fromisoformat(moment)) < timedelta(minutes=5)
    assert line == {
        "event": "snapshot has warnings", "level": "info", "catalog": "us", "name": "Käse"
    }  # fmt: skip
    assert "Käse" in errors


def test_writes_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback shows no local variables, which could be secrets."""
    logs.configure(CommonSettings(log_format="console", log_level="error"))
    log = logs.logger("test")
    log.warning("not shown")

    def fail() -> None:
        secret = "hunter2".upper()
        raise ValueError(len(secret))

    try:
        fail()
    except ValueError:
        log.exception("poll failed", catalog="us")
    errors = capsys.readouterr().err
    assert "poll failed" in errors
    assert "ValueError: 7" in errors
    assert "not shown" not in errors
    assert "HUNTER2" not in errors
