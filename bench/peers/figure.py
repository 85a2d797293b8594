"""The result of a peer: its process prints a line of JSON, which `run` reads."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class PeerFigure:
    """One work of one peer."""

    peer: str
    work: str
    count: int
    """Rows or events in the result, which was checked."""
    seconds: float
    peak_mb: float
    """The most memory during this work, libraries included, in MB (10^6 bytes)."""
    version: str


def line(figure: PeerFigure) -> str:
    """Return `figure` as a line of JSON."""
    return json.dumps(asdict(figure))


def read(text: str) -> list[PeerFigure]:
    """Return the figures in a peer's output; libraries may have printed other lines."""
    return [
        PeerFigure(**json.loads(each)) for each in text.splitlines() if each.startswith('{"peer":')
    ]
