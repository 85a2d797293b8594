"""The source `tiktok_shop`: signed requests, error codes, tokens and fallback shops.

Imports the modules of `sources`.
"""
