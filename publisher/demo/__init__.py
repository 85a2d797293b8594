"""`make demo`: everything at once on this machine, with a tree that changes.

The embedded server, the sandbox TikTok Shop API and the publisher run in this process; the consumer
that mirrors into SQLite is a process of its own, as in real use. May import everything of publisher
but commands and service.
"""
