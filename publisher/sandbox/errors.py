"""What can go wrong with the sandbox itself; what it answers as TikTok Shop is `answers.Refused`.

plumbing.errors.Error
├── CannotListen        the port is taken, or not ours to open; exit code 1
└── plumbing.errors.ConfigError
    └── BadOption       a wrong option, fault or tree file; exit code 2
"""

from plumbing.errors import ConfigError, Error


class CannotListen(Error):
    """The sandbox's address cannot be listened on."""


class BadOption(ConfigError):
    """An option of the sandbox, a `--fault SPEC` or a `--tree FILE` is wrong."""
