"""Formats what the commands of `map` print: text, JSON and CSV.

In text, control characters from outside are escaped, so they cannot affect the terminal. JSON is
exact. In CSV, cells that a spreadsheet would run are escaped (`csv_table`).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import orjson

from consumers.mapping.csv_table import format_csv
from consumers.mapping.model import Candidate, CategoryMapping, MappingSnapshot, OwnCategory, Status
from consumers.mapping.service import ImportCounts
from consumers.mapping.suggest import CandidateFinder
from plumbing.text import escape_control_chars

MAX_CANDIDATES: Final = 10
"""How many candidates of one mapping the text shows."""
LINK_FIELDS: Final = ("category_id", "category_name", "category_path", "decided_at", "current_path")
EXPORTED: Final = (*OwnCategory._fields, *LINK_FIELDS, *Status._fields, "candidates")
SUGGESTED: Final = ("key", "name", "path", "category_id", "category_path", "score")


class Suggestions(NamedTuple):
    """The leaves that an own category may be linked with, best first."""

    own: OwnCategory
    candidates: Sequence[Candidate]


def format_import(catalog: str, source: str, counts: ImportCounts) -> str:
    """Return the result of an import from the file or table `source`."""
    text = f"{catalog}: {counts.new} new, {counts.changed} changed, {counts.same} unchanged\n"
    if counts.absent:
        text += f"{counts.absent} imported before are not in {escape_control_chars(source)} "
        text += "and are kept (`map remove` deletes them)\n"
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
    return "".join(f"{_headline(it.own)}\n{_candidate_lines(it.candidates)}" for it in found)


def suggestions_to_json(found: Sequence[Suggestions]) -> str:
    """Return suggestions as a list in JSON."""
    return _to_json(
        {**own._asdict(), "suggestions": [one._asdict() for one in candidates]}
        for own, candidates in found
    )


def suggestions_to_csv(found: Sequence[Suggestions]) -> str:
    """Return a row a suggestion.

    `map link --from` reads it once only one row of each key is left.
    """
    rows = [[*it.own, one.id, one.path, f"{one.score:g}"] for it in found for one in it.candidates]
    return format_csv(SUGGESTED, rows)


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
        found = (f"{one.id} ({one.score:g}) {one.path}" for one in finder.find(mapping))
        cells = [value or "" for value in _fields(mapping, finder).values()]
        rows.append([*cells, " | ".join(found)])
    return format_csv(EXPORTED, rows)


def _fields(mapping: CategoryMapping, finder: CandidateFinder) -> dict[str, Any]:
    """Return the fields of EXPORTED without the candidates."""
    own, linked, status = mapping
    link: Sequence[str | None] = [None] * len(LINK_FIELDS)
    if linked is not None:
        current_path = finder.tree.path(linked.id) if linked.id in finder.tree.rows else None
        link = [linked.id, linked.local_name, linked.path, linked.decided_at, current_path]
    return own._asdict() | dict(zip(LINK_FIELDS, link, strict=True)) | status._asdict()


def _reviewed_mapping(mapping: CategoryMapping, finder: CandidateFinder) -> str:
    fields = _fields(mapping, finder)
    id_, path, reason = (
        escape_control_chars(fields[name]) for name in ("category_id", "category_path", "reason")
    )
    text = f"{_headline(mapping.own)}\n    {fields['state']} since {fields['since']}: {reason}\n"
    text += f"    linked with {id_}  {path}\n"
    if fields["current_path"] not in {None, fields["category_path"]}:
        text += f"    which is now {escape_control_chars(fields['current_path'])}\n"
    return text + (_candidate_lines(finder.find(mapping)) if fields["state"] == "broken" else "")


def _headline(own: OwnCategory) -> str:
    return f"{escape_control_chars(own.key)}  {escape_control_chars(own.path)}"


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
