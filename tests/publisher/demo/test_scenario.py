"""The demo from the first import to the proof of its copy."""

from pathlib import Path

from tests.support.processes import PUBLISHER, call


def test_four_rounds(folder: Path) -> None:
    """It stops by itself with exit code 0 after four rounds that both sides agree on."""
    done = call(PUBLISHER, "demo", "--rounds", "4", "--every", "0.2", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "2700/2700" in done.stdout
    for number in range(1, 5):
        assert f"Round {number}" in done.stdout
    assert done.stdout.count("both digests are") == 5
    assert "`category-consumer verify` agrees" in done.stdout
    assert done.stderr == ""
