"""The root of the error tree, and plumbing's own errors.

    Error                   what happened, where, and what to do; exit code 1
    ├── ConfigError         wrong command line or configuration; exit code 2
    ├── RedisError          Redis cannot be reached, or refused a command
    └── EmbeddedServerError the embedded server cannot start, or cannot save its data

`publisher.errors` and `consumers.errors` add their own branches to `Error`. The commands catch
`Error` in one place (`plumbing.cli.main`), print its message and exit with its code; any other
exception is a bug of ours.
"""

from typing import ClassVar


class Error(Exception):
    """An error that the user can understand and fix; its text never contains a secret."""

    exit_code: ClassVar[int] = 1


class ConfigError(Error):
    """The command line, the environment or the configuration file is wrong."""

    exit_code: ClassVar[int] = 2


class RedisError(Error):
    """Redis cannot be reached, or refused a command.

    If `is_transient`, the same command may succeed later. `advice` is the part of the message that
    says what to do (see `plumbing.redis.error_advice` for both).
    """

    def __init__(self, message: str, *, is_transient: bool = False, advice: str = "") -> None:
        super().__init__(message)
        self.is_transient = is_transient
        self.advice = advice


class EmbeddedServerError(Error):
    """The embedded server cannot start, or cannot save its data when it should stop."""
