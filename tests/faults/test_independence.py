"""Who judges knows nothing of ours, or a mistake could hide behind itself."""

import subprocess
import sys
from pathlib import Path

import pytest

LOADED = "import sys, {}; print(*{{'publisher', 'consumers', 'plumbing'}} & set(sys.modules))"


@pytest.mark.parametrize("name", ["contract", "looks", "checker", "copies"])
def test_the_judge_imports_none_of_our_code(name: str) -> None:
    """Neither does anything that it imports."""
    code = LOADED.format(f"tests.faults.{name}")
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
