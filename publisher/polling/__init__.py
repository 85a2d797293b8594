"""One poll, and the daemon that repeats it for the catalogs whose leases it holds.

Imports `core`, `sources`, `state` and `status`.
"""
