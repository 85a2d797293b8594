"""Records the result of every run, and writes the table of docs/faults.md.

Tests run in several processes, so each run is a line in a file of its process. At the end these
lines become a row for each fault on each server.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from tests.faults.catalog_checker import Finding
from tests.faults.system import Verdict

BEGIN: Final = "<!-- written by `make faults`: begin -->"
END: Final = "<!-- written by `make faults`: end -->"
KINDS: Final = ("lost", "duplicate", "partial write", "diverged", "unguarded")
MAX_SEEDS: Final = 6


@dataclass(frozen=True)
class Run:
    """Runs of one fault on one server."""

    group: str
    fault: str
    server: str
    runs: int
    findings: list[Finding] = field(default_factory=list)
    recovery: float | None = None
    seed: int | None = None
    server_lost: int = 0
    """Runs in which the server itself lost writes that it had acknowledged."""


class ResultsRecorder:
    """Records runs on one server, in `file` if a table is wanted."""

    def __init__(self, file: Path | None, group: str, server: str) -> None:
        self.server = server
        self._file = file
        self._group = group

    def record(
        self,
        fault: str,
        verdict: Verdict,
        *,
        runs: int = 1,
        seed: int | None = None,
        server_lost: int = 0,
        timed: bool = True,
    ) -> None:
        """Record `runs` of `fault`, and fail if there are findings.

        A fault that never happened would be a false row: less than one run is an error.
        """
        if runs < 1:
            raise ValueError(f"{fault} on {self.server}: {runs} runs show nothing")
        recovery = verdict.recovery if timed else None
        run = Run(
            self._group, fault, self.server, runs, verdict.findings, recovery, seed, server_lost
        )
        if self._file is not None:
            self._file.parent.mkdir(exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(run)) + "\n")
        if verdict.findings:
            findings = "\n".join(f"  {kind}: {what}" for kind, what in verdict.findings[:20])
            raise AssertionError(f"{fault} on {self.server}, seed {seed}:\n{findings}")


def read(folder: Path) -> list[Run]:
    """Return all runs recorded in `folder`."""
    runs = []
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text("utf-8").splitlines():
            fields = json.loads(line)
            found = [Finding(*each) for each in fields.pop("findings")]
            runs.append(Run(**fields, findings=found))
    return runs


def write(document: Path, runs: Iterable[Run]) -> None:
    """Write the table of `runs` between its marks in `document`."""
    head, _, rest = document.read_text("utf-8").partition(BEGIN)
    _, _, tail = rest.partition(END)
    document.write_text(f"{head}{BEGIN}\n{table(runs)}\n{END}{tail}", "utf-8")


def table(runs: Iterable[Run]) -> str:
    """Return `runs` as a Markdown table with a row for each fault on each server."""
    rows: dict[tuple[str, str, str], list[Run]] = defaultdict(list)
    for run in runs:
        rows[run.group, run.fault, run.server].append(run)
    lines = [
        f"| fault | server | runs | {' | '.join(KINDS)} | longest recovery | seeds |",
        f"| --- | --- | ---: |{' ---: |' * len(KINDS)} ---: | --- |",
        *(_row(fault, server, rows[group, fault, server]) for group, fault, server in sorted(rows)),
    ]
    return "\n".join(lines)


def _row(fault: str, server: str, runs: list[Run]) -> str:
    found = Counter(finding.kind for run in runs for finding in run.findings)
    recoveries = [run.recovery for run in runs if run.recovery is not None]
    seeds = [run.seed for run in runs if run.seed is not None]
    lost = sum(run.server_lost for run in runs)
    words = [
        fault
        + (f" (the server itself lost acknowledged writes in {lost} of them)" if lost else ""),
        server,
        sum(run.runs for run in runs),
        *(found[kind] for kind in KINDS),
        f"{max(recoveries):.1f} s" if recoveries else "-",
        ", ".join(map(str, seeds[:MAX_SEEDS])) + (", …" if len(seeds) > MAX_SEEDS else ""),
    ]
    return f"| {' | '.join(map(str, words))} |"
