"""Draws the results: `.venv/bench/bin/python -m bench.plots RESULTS.json FOLDER`."""

import json
import statistics
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

SIZE = (11, 5)
LISTS = ("first list", "1 % changed", "nothing changed")
EVENTS = ("single", "batch", "batch, all checks")


def main() -> None:
    """Draw both plots."""
    data = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    folder = Path(sys.argv[2])
    # The same results give the same file, and its texts can be searched.
    mpl.rcParams.update({"svg.hashsalt": "category-publisher", "svg.fonttype": "none"})
    ratios(data["results"], folder / "benchmarks-ratios.svg")
    peers(data["peers"], folder / "benchmarks-peers.svg")


def ratios(results: list[dict[str, Any]], path: Path) -> None:
    """Draw the ratio of each benchmark by its size."""
    by_name: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for each in results:
        by_name[each["name"]].append((each["size"], statistics.median(each["ratios"])))
    figure, axes = plt.subplots(figsize=SIZE)
    axes.set_prop_cycle(color=mpl.color_sequences["tab20"])
    for name, points in by_name.items():
        if len(points) > 1:
            axes.plot(*zip(*sorted(points), strict=True), marker="o", label=name)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="categories", ylabel="ours / floor")
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_title("Ours divided by the floor (1: equal; less is better)")
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1))
    _save(figure, path)


def peers(figures: list[dict[str, Any]], path: Path) -> None:
    """Draw the seconds of each peer for a list, and of each consumer for the events."""
    count = max(each["count"] for each in figures)
    figure, (above, below) = plt.subplots(2, figsize=(11, 7), height_ratios=(2, 1), sharex=True)
    _bars(above, figures, LISTS, f"A list of {count:,} categories")
    _bars(below, figures, EVENTS, f"{count:,} events")
    below.set(xscale="log", xlabel="seconds; less is better")
    below.xaxis.set_major_formatter("{x:g}")
    _save(figure, path)


def _bars(axes: Any, figures: list[dict[str, Any]], works: tuple[str, ...], title: str) -> None:
    """Draw a bar for each of `works` of each peer that does one of them."""
    mine = [each for each in figures if each["work"] in works]
    names = list(dict.fromkeys(each["peer"] for each in mine))
    for index, work in enumerate(works):
        seconds = {each["peer"]: each["seconds"] for each in mine if each["work"] == work}
        positions = [number + 0.25 * index for number, name in enumerate(names) if name in seconds]
        bars = axes.barh(positions, [seconds[name] for name in names if name in seconds], 0.25)
        axes.bar_label(bars, fmt="%.3g s", padding=3, fontsize=8)
        bars.set_label(work)
    axes.set_yticks([number + 0.25 for number in range(len(names))], names)
    axes.set_title(title)
    axes.margins(x=0.15)
    axes.invert_yaxis()
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def _save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
