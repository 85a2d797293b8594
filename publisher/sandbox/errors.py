"""Errors of the sandbox itself; what it answers is `responses.ErrorResponse`.

plumbing.errors.Error
├── CannotListen        the port is taken or not permitted; exit code 1
└── plumbing.errors.ConfigError
    └── BadOption       a wrong option, fault or tree file; exit code 2
"""

from plumbing.errors import ConfigError, Error


class CannotListen(Error):
    """The sandbox cannot listen on its address."""


class BadOption(ConfigError):
    """An option of the sandbox, a `--fault SPEC` or a `--tree FILE` is wrong."""
