"""Keeps TikTok Shop's category tree in Redis and publishes every change of it.

The data's way, one module a step: `sources` → `snapshot` → `diff` → `guard` → `event` →
`store` (with `commit.lua`) → the stream. `poll` does one round of it, `daemon` loops.
"""
