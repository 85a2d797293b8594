"""Folders that tests read."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
"""The checkout."""
DOCS: Final = ROOT / "docs"
SCHEMAS: Final = ROOT / "schemas"
SHARED_DATA: Final = ROOT.parent / "shared" / "data"
"""Real trees and signature vectors, read in place; not part of the checkout."""
