"""Formats what the commands of `map` print: text, JSON and CSV.

In text, control characters from outside are escaped, so they cannot affect the terminal. JSON is
exact. In CSV, cells that a spreadsheet would run are escaped (`csv_table`).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import orjson

from consumers.mapping.csv_table import format_csv
from consumers.mapping.model import Candidate, CategoryMapping, MappingSnapshot
from consumers.mapping.service import ImportCounts
from consumers.mapping.suggest import CandidateFinder
from plumbing.text import escape_control_chars

MAX_CANDIDATES: Final = 10
"""How many candidates of one mapping the text shows."""
EXPORTED: Final = (
    *("key", "name", "path", "category_id", "category_name", "category_path", "decided_at"),
    *("current_path", "state", "reason", "since", "since_event", "candidates"),
)
SUGGESTED: Final = ("key", "name", "path", "category_id", "category_path", "score")


class Suggestions(NamedTuple):
    """The leaves that a mapping's own category may be linked with, best first."""

    mapping: CategoryMapping
    candidates: Sequence[Candidate]


def format_import(catalog: str, source: str, counts: ImportCounts) -> str:
    """Return the result of an import from the file or table `source`."""
    text = f"{catalog}: {counts.new} new, {counts.changed} changed, {counts.same} unchanged\n"
    if counts.absent:
        text += (
            f"{counts.absent} imported before are not in {escape_control_chars(source)} and are "
            "kept (`map remove` deletes them)\n"
        )
    return text


def format_links(catalog: str, mappings: Sequence[CategoryMapping]) -> str:
    """Return how many were linked; of a single one also with which category."""
    if len(mappings) != 1 or mappings[0].linked is None:
        return f"{catalog}: {len(mappings)} linked\n"
    linked = mappings[0].linked
    key, id_ = escape_control_chars(mappings[0].own.key), escape_control_chars(linked.id)
    return f"{catalog}: {key} is linked with {id_}: {escape_control_chars(linked.path)}\n"


def format_suggestions(found: Sequence[Suggestions]) -> str:
    """Return suggestions as text."""
    return "".join(f"{_headline(it.mapping)}\n{_candidate_lines(it.candidates)}" for it in found)


def suggestions_to_json(found: Sequence[Suggestions]) -> str:
    """Return suggestions as a list in JSON."""
    return _to_json(
        it.mapping.own._asdict() | {"suggestions": [one._asdict() for one in it.candidates]}
        for it in found
    )


def suggestions_to_csv(found: Sequence[Suggestions]) -> str:
    """Return a row a suggestion.

    `map link --from` reads it once only one row of each key is left.
    """
    return format_csv(
        SUGGESTED,
        (
            [*it.mapping.own, one.id, one.path, f"{one.score:g}"]
            for it in found
            for one in it.candidates
        ),
    )


def to_review(snapshot: MappingSnapshot) -> list[CategoryMapping]:
    """Return the mappings that somebody has to review."""
    return [it for it in snapshot.mappings.values() if it.status.state in {"review", "broken"}]


def format_review(catalog: str, snapshot: MappingSnapshot) -> str:
    """Return the mappings to review as text, and what to do next."""
    finder = CandidateFinder(snapshot)
    text = "".join(_reviewed_mapping(mapping, finder) for mapping in to_review(snapshot))
    counts = Counter(mapping.status.state for mapping in snapshot.mappings.values())
    total = ", ".join(f"{counts[state]} {state}" for state in ("valid", "unlinked"))
    text += f"{catalog}: {counts['review']} to review, {counts['broken']} broken, {total}\n"
    how = f"category-consumer map link {catalog} KEY ID"
    if counts["review"]:
        text += f"to accept one as it is now, link it with the same category again: {how}\n"
    if counts["broken"]:
        text += f"to repair a broken one, link it with another category: {how}\n"
    return text


def mappings_to_json(mappings: Sequence[CategoryMapping], snapshot: MappingSnapshot) -> str:
    """Return `mappings` of `snapshot` as a list in JSON."""
    finder = CandidateFinder(snapshot)
    return _to_json(
        _fields(mapping, finder) | {"candidates": [one._asdict() for one in finder.find(mapping)]}
        for mapping in mappings
    )


def mappings_to_csv(mappings: Sequence[CategoryMapping], snapshot: MappingSnapshot) -> str:
    """Return `mappings` of `snapshot` as CSV; a missing value is an empty cell."""
    finder = CandidateFinder(snapshot)
    rows = []
    for mapping in mappings:
        found = finder.find(mapping)
        candidates = " | ".join(f"{one.id} ({one.score:g}) {one.path}" for one in found)
        fields = _fields(mapping, finder) | {"candidates": candidates}
        rows.append([fields[name] or "" for name in EXPORTED])
    return format_csv(EXPORTED, rows)


def _fields(mapping: CategoryMapping, finder: CandidateFinder) -> dict[str, Any]:
    """Return the fields of EXPORTED without the candidates."""
    own, linked, status = mapping
    exists = linked is not None and linked.id in finder.tree.rows
    return {
        **own._asdict(),
        "category_id": linked and linked.id,
        "category_name": linked and linked.local_name,
        "category_path": linked and linked.path,
        "decided_at": linked and linked.decided_at,
        "current_path": finder.tree.path(linked.id) if linked and exists else None,
        **status._asdict(),
    }


def _reviewed_mapping(mapping: CategoryMapping, finder: CandidateFinder) -> str:
    fields = _fields(mapping, finder)
    id_, path, reason = (
        escape_control_chars(fields[name]) for name in ("category_id", "category_path", "reason")
    )
    lines = [
        _headline(mapping),
        f"    {fields['state']} since {fields['since']}: {reason}",
        f"    linked with {id_}  {path}",
    ]
    current_path = fields["current_path"]
    if current_path not in {None, fields["category_path"]}:
        lines.append(f"    which is now {escape_control_chars(current_path)}")
    text = "".join(f"{line}\n" for line in lines)
    is_broken = mapping.status.state == "broken"
    return text + (_candidate_lines(finder.find(mapping)) if is_broken else "")


def _headline(mapping: CategoryMapping) -> str:
    return f"{escape_control_chars(mapping.own.key)}  {escape_control_chars(mapping.own.path)}"


def _candidate_lines(found: Sequence[Candidate]) -> str:
    lines = [
        f"    {one.score:5.1f}  {escape_control_chars(one.id)}  {escape_control_chars(one.path)}"
        for one in found[:MAX_CANDIDATES]
    ]
    more = len(found) - MAX_CANDIDATES
    lines += [f"    and {more} more"] if more > 0 else []
    return "".join(f"{line}\n" for line in lines or ["    no similar leaf"])


def _to_json(rows: Iterable[dict[str, Any]]) -> str:
    """Return a JSON list with one object a line."""
    lines = ",\n".join(orjson.dumps(row).decode() for row in rows)
    return f"[\n{lines}\n]\n" if lines else "[]\n"
