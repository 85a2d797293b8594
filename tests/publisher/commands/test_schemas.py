"""`category-publisher schemas`."""

from pathlib import Path

from tests.support.processes import PUBLISHER, call


def test_write_and_check(folder: Path) -> None:
    """It writes into a folder; --check writes nothing and exits with 1 or 0."""
    words = ("schemas", "--dir", "made")
    assert call(PUBLISHER, *words, "--check", cwd=folder).returncode == 1
    assert not (folder / "made").exists()
    written = call(PUBLISHER, *words, cwd=folder).stdout.splitlines()
    assert "written: made/category.schema.json" in written
    assert call(PUBLISHER, *words, "--check", cwd=folder).returncode == 0
    assert call(PUBLISHER, *words, cwd=folder).stdout == ""
    (folder / "made" / "category.schema.json").write_text("{}")
    differs = call(PUBLISHER, *words, "--check", cwd=folder)
    assert differs.returncode == 1
    assert "made/category.schema.json: run `category-publisher schemas`" in differs.stderr
