"""The configuration: models with all defaults, loading, and a shop's settings.

Imports: `plumbing.errors` and `plumbing.redis_url`.
"""
