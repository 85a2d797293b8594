"""Draws docs/demo.svg, the picture in README.md.

It shows the output of two rounds of the demo.

.venv/bin/python docs/picture.py
"""

import asyncio
import io
import re
import tempfile
from pathlib import Path

from rich.console import Console

from plumbing import logs
from plumbing.config.settings import Settings
from publisher.demo.scenario import run_demo

WIDTH = 100
FONT = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
"""Matches the part of rich's template that loads fonts from another host; it is removed."""


def main() -> None:
    """Run the demo and write the picture."""
    logs.configure(Settings.model_construct(log_format="console", log_level="warning"))
    console = Console(record=True, width=WIDTH, file=io.StringIO(), highlight=False)
    with tempfile.TemporaryDirectory(prefix="category-publisher-") as folder:
        asyncio.run(run_demo(Path(folder), console, rounds=2, every=1.0, seed=1))
    picture = console.export_svg(title="make demo")
    (Path(__file__).parent / "demo.svg").write_text(FONT.sub("", picture), "utf-8")


if __name__ == "__main__":
    main()
