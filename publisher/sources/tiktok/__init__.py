"""The source `tiktok_shop`: signed requests, error codes, shops and their fallbacks.

Imports the modules of `sources` and `core`.
"""
