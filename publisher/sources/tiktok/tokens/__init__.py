"""Access tokens: stored in a file or in Redis, refreshed once for all catalogs.

Imports `tiktok.client`, `tiktok.error_codes` and the modules of `sources`.
"""
