"""Who judges knows nothing of ours, or a mistake could hide behind itself."""

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
def test_the_judge_imports_none_of_our_code(name: str) -> None:
    """Neither does anything that it imports."""
    code = LOADED.format(f"tests.{name}")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
