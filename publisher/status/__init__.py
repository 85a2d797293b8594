"""Reports on catalogs: what Redis holds about them, what is wrong, and how that is shown.

Reads Redis and never writes. May import `core`, `state` and `errors`.
"""
