"""Keeps TikTok Shop's category tree in Redis and publishes every change of it.

A poll passes through these modules: a source in `sources/` returns an answer, `core/snapshot.py`
checks it, `core/diff.py` compares it with the state, `core/guard.py` decides whether it is held for
an approval, `core/event.py` makes the events, and `state/store.py` commits them with `commit.lua`.
`polling/poll.py` does one such round, `polling/daemon.py` repeats it.
"""
