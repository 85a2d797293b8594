"""A TikTok Shop API on loopback, for tests, the demo and trying things out.

It checks the publisher's client independently: signatures, tokens and parameters are verified by
code of its own, and it answers as the real API does (docs/tiktok-shop-api.md). It may import
nothing of the publisher, least of all publisher.sources; it shares only plumbing.errors.
"""

from publisher.sandbox.errors import BadOption, CannotListen
from publisher.sandbox.faults import Fault
from publisher.sandbox.options import SandboxOptions, SandboxShop
from publisher.sandbox.server import Sandbox, serve
from publisher.sandbox.tree import Row, Tree, read_tree

__all__ = [
    "BadOption",
    "CannotListen",
    "Fault",
    "Row",
    "Sandbox",
    "SandboxOptions",
    "SandboxShop",
    "Tree",
    "read_tree",
    "serve",
]
