"""Access tokens: where they are stored, and how they are refreshed once for everybody.

Imports `tiktok.client` and the modules of `sources`.
"""
