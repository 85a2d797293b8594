"""Finds the mark in the record that someone means by a time, a sequence or an event's id."""

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import ColumnElement

from consumers.contract.history_point import EventRef, HistoryPoint
from consumers.errors import NotRecorded
from consumers.history.reader import Past
from consumers.history.store import Resync
from consumers.history.tables import BEGIN, END, MarkColumns
from consumers.history.versions import Mark

MOST_TOLD: Final = 3
"""How many stretches of sequences a message names: the newest."""


async def find(past: Past, moment: HistoryPoint) -> Mark:
    """Return the last mark that is not after `moment`.

    Of a place that came more than once, as after a failover, or in several epochs where none is
    given, the newest is meant. Raises NotRecorded for what is before the record, or in none of
    its stretches of sequences; a time behind its end is its end.
    """
    if isinstance(moment, EventRef):
        return await _of_place(past, moment)
    return await _of_time(past, moment)


async def _of_time(past: Past, time: str) -> Mark:
    before = [each for each in past.resyncs if each.resynced_at <= time]
    if not before:
        raise NotRecorded(f"{time} is before the record of this catalog: {_told(past.resyncs)}")
    if before[-1].last_at <= time:
        return before[-1].last
    return await _newest(past, before[-1], lambda mark: mark.at <= time)


async def _of_place(past: Past, place: EventRef) -> Mark:
    for resync in reversed(past.resyncs):
        if _may_have(resync, place):
            mark = await _newest(past, resync, lambda mark: mark.sequence <= place.sequence)
            position = mark.event or resync.to_position
            if place.digest is None or position.endswith(place.digest):
                return mark
    raise NotRecorded(f"{place} is not in the record of this catalog: {_told(past.resyncs)}")


def _may_have(resync: Resync, place: EventRef) -> bool:
    in_its_stretch = resync.first_sequence <= place.sequence <= resync.last_sequence
    return in_its_stretch and place.epoch in {None, resync.epoch}


async def _newest(
    past: Past, resync: Resync, is_early_enough: Callable[[MarkColumns], ColumnElement[bool]]
) -> Mark:
    """Return the last mark behind `resync` that is early enough, or that of the resync itself."""
    marks = [resync.mark]
    for end in (BEGIN, END):
        query = past.versions(*end).where(end.resync == resync.number, is_early_enough(end))
        marks += [
            Mark(*row) for row in await past.read(query.order_by(end.sequence.desc()).limit(1))
        ]
    return max(marks, key=lambda mark: mark.sequence)


def _told(resyncs: Sequence[Resync]) -> str:
    """Say from when to when there is a record, and of which sequences."""
    stretches = [f"{r.epoch}-{r.first_sequence} to {r.last_sequence}" for r in resyncs]
    more = len(stretches) - MOST_TOLD
    told = ", ".join(stretches[-MOST_TOLD:]) + (f" and {more} stretches before" if more > 0 else "")
    return f"it is from {resyncs[0].resynced_at} to {resyncs[-1].last_at}, of {told}"
