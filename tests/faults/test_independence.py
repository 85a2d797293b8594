"""The checkers import no code of ours, which could hide our mistakes."""

import subprocess
import sys

import pytest

from tests.support.paths import ROOT

LOADED = "import sys, {}; print(*{{'publisher', 'consumers', 'plumbing'}} & set(sys.modules))"


@pytest.mark.parametrize(
    "name",
    [
        "support.contract",
        "faults.redis_snapshots",
        "faults.catalog_checker",
        "faults.projection_checker",
    ],
)
def test_the_checkers_import_none_of_our_code(name: str) -> None:
    """Neither directly nor through another module."""
    code = LOADED.format(f"tests.{name}")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
