"""How a command uses the embedded server.

It is in its own module, so that a command can name a mode without importing the server's code.
"""

import enum


class EmbeddedMode(enum.Enum):
    """How a command uses the embedded server (contract, 7)."""

    KEEP_RUNNING = "start it, and start it again if it stops"
    START_IF_NEEDED = "start it if it is not running"
    WAIT = "wait until another command has started it"
