"""What the commands of `map` print: lines for a human, or JSON and CSV for programs.

What comes from outside can neither style nor steer the terminal of who looks; in JSON it is as it
is, and in CSV but for what a spreadsheet would run (`sheet`).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import orjson

from consumers.mapping.candidates import Candidates
from consumers.mapping.csv_table import unparse
from consumers.mapping.model import Atlas, Candidate, Mapping
from consumers.mapping.service import Imported
from plumbing.text import escape_control_chars

MOST_CANDIDATES: Final = 10
"""How many a human is shown of one mapping."""
EXPORTED: Final = (
    *("key", "name", "path", "category_id", "category_name", "category_path", "decided_at"),
    *("current_path", "state", "reason", "since", "since_event", "candidates"),
)
SUGGESTED: Final = ("key", "name", "path", "category_id", "category_path", "score")


class Suggestion(NamedTuple):
    """The leaves that a mapping's own category may belong to, best first."""

    mapping: Mapping
    candidates: Sequence[Candidate]


def imported(catalog: str, name: str, counts: Imported) -> str:
    """Tell what an import of the source `name` came to."""
    told = f"{catalog}: {counts.new} new, {counts.changed} changed, {counts.same} as before\n"
    if counts.absent:
        told += (
            f"{counts.absent} of before are not in {escape_control_chars(name)} and stay "
            "(`map remove` forgets them)\n"
        )
    return told


def linked(catalog: str, made: Sequence[Mapping]) -> str:
    """Tell what was linked: of a single link with what."""
    if len(made) != 1 or made[0].decision is None:
        return f"{catalog}: {len(made)} linked\n"
    own, decision = made[0].own, made[0].decision
    path = escape_control_chars(decision.path)
    key, id_ = escape_control_chars(own.key), escape_control_chars(decision.id)
    return f"{catalog}: {key} is linked with {id_}: {path}\n"


def suggestions(found: Sequence[Suggestion]) -> str:
    """Return suggestions for a human."""
    return "".join(f"{_headline(it.mapping)}\n{_candidates(it.candidates)}" for it in found)


def suggestions_json(found: Sequence[Suggestion]) -> str:
    """Return suggestions as a list in JSON."""
    return _json(
        it.mapping.own._asdict() | {"suggestions": [one._asdict() for one in it.candidates]}
        for it in found
    )


def suggestions_csv(found: Sequence[Suggestion]) -> str:
    """Return a line for each suggestion, fit for `map link --from` once one of each is left."""
    return unparse(
        SUGGESTED,
        (
            [*it.mapping.own, one.id, one.path, f"{one.score:g}"]
            for it in found
            for one in it.candidates
        ),
    )


def to_review(atlas: Atlas) -> list[Mapping]:
    """Return what someone has to look at."""
    return [it for it in atlas.mappings.values() if it.status.state in {"review", "broken"}]


def review(catalog: str, atlas: Atlas) -> str:
    """Return what someone has to look at, for a human, and how to go on."""
    candidates = Candidates(atlas)
    told = "".join(_reviewed(mapping, candidates) for mapping in to_review(atlas))
    counts = Counter(mapping.status.state for mapping in atlas.mappings.values())
    total = ", ".join(f"{counts[state]} {state}" for state in ("valid", "unlinked"))
    told += f"{catalog}: {counts['review']} to review, {counts['broken']} broken, {total}\n"
    how = f"category-consumer map link {catalog} KEY ID"
    if counts["review"]:
        told += f"to accept one as it is now, link it with the same again: {how}\n"
    if counts["broken"]:
        told += f"to mend a broken one, link it with another: {how}\n"
    return told


def export_json(mappings: Sequence[Mapping], atlas: Atlas) -> str:
    """Return `mappings` of `atlas` as a list in JSON."""
    candidates = Candidates(atlas)
    return _json(
        _record(mapping, candidates)
        | {"candidates": [one._asdict() for one in candidates.of(mapping)]}
        for mapping in mappings
    )


def export_csv(mappings: Sequence[Mapping], atlas: Atlas) -> str:
    """Return `mappings` of `atlas` as CSV; what is not there is an empty cell."""
    candidates = Candidates(atlas)
    rows = (
        _record(mapping, candidates) | {"candidates": _joined(candidates.of(mapping))}
        for mapping in mappings
    )
    return unparse(EXPORTED, ([row[name] or "" for name in EXPORTED] for row in rows))


def _record(mapping: Mapping, candidates: Candidates) -> dict[str, Any]:
    """Return all of EXPORTED but the candidates."""
    own, decision, status = mapping
    is_there = decision is not None and decision.id in candidates.tree.rows
    return {
        **own._asdict(),
        "category_id": decision and decision.id,
        "category_name": decision and decision.local_name,
        "category_path": decision and decision.path,
        "decided_at": decision and decision.decided_at,
        "current_path": candidates.tree.path(decision.id) if decision and is_there else None,
        **status._asdict(),
    }


def _reviewed(mapping: Mapping, candidates: Candidates) -> str:
    row = _record(mapping, candidates)
    now = row["current_path"]
    id_, path = escape_control_chars(row["category_id"]), escape_control_chars(row["category_path"])
    lines = [
        _headline(mapping),
        f"    {row['state']} since {row['since']}: {escape_control_chars(row['reason'])}",
        f"    linked with {id_}  {path}",
    ]
    if now not in {None, row["category_path"]}:
        lines.append(f"    which is now {escape_control_chars(now)}")
    told = "".join(f"{line}\n" for line in lines)
    return told + (_candidates(candidates.of(mapping)) if row["state"] == "broken" else "")


def _headline(mapping: Mapping) -> str:
    return f"{escape_control_chars(mapping.own.key)}  {escape_control_chars(mapping.own.path)}"


def _candidates(found: Sequence[Candidate]) -> str:
    lines = [
        f"    {one.score:5.1f}  {escape_control_chars(one.id)}  {escape_control_chars(one.path)}"
        for one in found[:MOST_CANDIDATES]
    ]
    more = len(found) - MOST_CANDIDATES
    lines += [f"    and {more} more"] if more > 0 else []
    return "".join(f"{line}\n" for line in lines or ["    no leaf is similar"])


def _joined(found: Sequence[Candidate]) -> str:
    return " | ".join(f"{one.id} ({one.score:g}) {one.path}" for one in found)


def _json(rows: Iterable[dict[str, Any]]) -> str:
    lines = ",\n".join(orjson.dumps(row).decode() for row in rows)
    return f"[\n{lines}\n]\n" if lines else "[]\n"
