"""A TikTok Shop API on loopback, for tests, the demo and trying things out.

It is an independent judge of the publisher's client: it checks signatures, tokens and parameters
with code of its own, and answers, good and bad, as the real API is known to
(docs/tiktok-shop-api.md). It shares nothing with the publisher but the root of the error tree.
"""

from publisher.sandbox.errors import BadOption, CannotListen
from publisher.sandbox.faults import Fault
from publisher.sandbox.options import SandboxOptions, Shop
from publisher.sandbox.server import Sandbox, serve
from publisher.sandbox.tree import Row, Tree
from publisher.sandbox.tree_file import read_tree

__all__ = [
    "BadOption",
    "CannotListen",
    "Fault",
    "Row",
    "Sandbox",
    "SandboxOptions",
    "Shop",
    "Tree",
    "read_tree",
    "serve",
]
