"""The command `category-consumer` (contract, 7).

Exit codes: 0 done or stopped, 1 failed, 2 wrong command line or configuration; for `verify`: 0
equal, 1 different, 2 could not be compared.
"""

from typing import Final, NoReturn

from plumbing.cli.lazy_group import lazy_group
from plumbing.cli.main import run_app

COMMANDS: Final = {
    "mirror": "Keep a copy of a catalog in a database.",
    "history": "Record the history of a catalog, or print what was recorded.",
    "map": "Link your own categories with the categories of a catalog.",
    "tail": "Print a catalog's last events, then each new one.",
    "verify": "Compare a catalog's rows in a database with its state in Redis.",
}
"""The modules of `consumers.commands`, each with the first line of its help."""

app = lazy_group(
    "Follows the changes of a catalog that category-publisher publishes.",
    "consumers.commands",
    COMMANDS,
)


def main() -> NoReturn:
    """Run the command line and exit."""
    run_app(app)
