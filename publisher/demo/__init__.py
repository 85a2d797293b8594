"""`make demo`: everything at once on this machine, with a tree that lives.

The embedded server, the sandbox TikTok Shop API and the publisher run here, the consumer that
keeps a SQLite copy is a process of its own, as it would be in real life.
"""
