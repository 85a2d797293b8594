"""The root of the error tree, and the errors of the plumbing.

    Error                   what happened, where, and what to do; exit code 1
    ├── ConfigError         wrong command line or configuration; exit code 2
    ├── RedisError          Redis cannot be reached, or refused
    └── EmbeddedServerError the embedded server did not start

`publisher.errors` and `consumers.errors` grow their own branches from `Error`. The commands
catch `Error` in one place (`plumbing.entry`), print its message and exit with its code; any
other exception is a bug of ours.
"""

from typing import ClassVar


class Error(Exception):
    """Something that the user can understand and act on; its text never holds a secret."""

    exit_code: ClassVar[int] = 1


class ConfigError(Error):
    """The command line, the environment or the configuration file is wrong."""

    exit_code: ClassVar[int] = 2


class RedisError(Error):
    """Redis cannot be reached, or refused a command.

    `passing`: it may pass by itself, so trying again soon makes sense; `advice`: what a person is
    to do, as the message says it (see `plumbing.refusals` for both).
    """

    def __init__(self, message: str, *, is_transient: bool = False, advice: str = "") -> None:
        super().__init__(message)
        self.is_transient = is_transient
        self.advice = advice


class EmbeddedServerError(Error):
    """The embedded server could not be started."""
