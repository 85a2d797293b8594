"""The configuration: models with all defaults, how they are read, and a shop's own settings.

Imports: `plumbing.errors` and `plumbing.redis_url`.
"""
