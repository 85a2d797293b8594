"""The source `tiktok_shop`: signed requests, error codes, tokens, fallback shops.

Imports the modules of `sources`.
"""
