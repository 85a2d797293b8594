"""Draws what was measured as SVG: `python -m bench.plots RESULTS.json FOLDER`, in `.venv/bench`."""

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

SIZE = (9, 5)
WORKS_OF_PEERS = ("first list", "1 % changed", "nothing changed")


def main() -> None:
    """Draw both plots."""
    data = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    folder = Path(sys.argv[2])
    # The same figures make the same file, and texts can be searched.
    mpl.rcParams.update({"svg.hashsalt": "category-publisher", "svg.fonttype": "none"})
    ratios(data["results"], folder / "benchmarks-ratios.svg")
    peers(data["peers"], folder / "benchmarks-peers.svg")


def ratios(results: list[dict[str, Any]], path: Path) -> None:
    """Draw each work's ratio over its floor, by the number of categories."""
    by_work: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for each in results:
        by_work[each["work"]].append((each["categories"], statistics.median(each["ratios"])))
    figure, axes = plt.subplots(figsize=SIZE)
    for work, points in by_work.items():
        if len(points) > 1:
            axes.plot(*zip(*sorted(points), strict=True), marker="o", label=work)
    axes.set(xscale="log", xlabel="categories", ylabel="times the floor", title="Ours over floors")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize=7)
    _save(figure, path)


def peers(figures: list[dict[str, Any]], path: Path) -> None:
    """Draw how many seconds each peer takes for a list."""
    names = list(dict.fromkeys(each["peer"] for each in figures if each["work"] in WORKS_OF_PEERS))
    figure, axes = plt.subplots(figsize=SIZE)
    for index, work in enumerate(WORKS_OF_PEERS):
        seconds = {each["peer"]: each["seconds"] for each in figures if each["work"] == work}
        places = [number + 0.25 * index for number, name in enumerate(names) if name in seconds]
        bars = axes.barh(places, [seconds[name] for name in names if name in seconds], 0.25)
        axes.bar_label(bars, fmt="%.3g s", padding=3, fontsize=8)
        bars.set_label(work)
    axes.set_yticks([number + 0.25 for number in range(len(names))], names)
    axes.set(xscale="log", xlabel="seconds", title="100,000 categories")
    axes.invert_yaxis()
    axes.legend()
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
