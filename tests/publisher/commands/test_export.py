"""`category-publisher export`."""

import csv
import io
from pathlib import Path

import pytest
import redis

from tests.support.processes import PUBLISHER, call


@pytest.mark.contract("7")
def test_json_and_csv(workdir: Path, keys: redis.Redis) -> None:
    """A `file` source reads the JSON to the same digest, and the CSV has every blank."""
    empty = call(PUBLISHER, "export", "us", cwd=workdir)
    assert (empty.returncode, empty.stdout, empty.stderr.count("\n")) == (1, "", 1)
    assert empty.stderr.startswith("error: ")
    assert keys.keys("*") == []
    call(PUBLISHER, "sync", "us", cwd=workdir)
    exported = call(PUBLISHER, "export", "us", "--format", "json", cwd=workdir).stdout
    assert call(PUBLISHER, "export", "us", cwd=workdir).stdout == exported
    (workdir / "uk.json").write_text(exported)
    call(PUBLISHER, "sync", "uk-en", cwd=workdir)
    digests = {keys.hget(f"catalog:{{{name}}}:meta", "digest") for name in ("us", "uk-en")}
    assert len(digests) == 1
    table = call(PUBLISHER, "export", "us", "--format", "csv", cwd=workdir).stdout
    assert list(csv.reader(io.StringIO(table, newline=""))) == [
        ["id", "parent_id", "local_name", "is_leaf"],
        ["1", "0", "Home", "false"],
        ["2", "1", "Käse & <b>\n", "true"],
    ]
    for words in (("us", "--format", "xml"), ("US",)):
        wrong = call(PUBLISHER, "export", *words, cwd=workdir)
        assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (2, "", 1)
