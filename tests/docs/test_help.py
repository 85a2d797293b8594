"""What `--help` prints for each command."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import consumers.cli
import publisher.cli

PAGE = Path(__file__).with_name("help.txt")
LINE = "─" * 60
CLI = {"category-publisher": publisher.cli.app, "category-consumer": consumers.cli.app}


def help_texts(command: Any, name: str, parent: typer.Context | None = None) -> Iterator[str]:
    """Yield the help of a command, and of all commands below it."""
    context = typer.Context(command, info_name=name, parent=parent, terminal_width=100)
    yield command.get_help(context).strip()
    if hasattr(command, "list_commands"):
        for each in command.list_commands(context):
            yield from help_texts(command.get_command(context, each), each, context)


def page() -> str:
    """Return the help of all commands."""
    texts = [
        text for name, app in CLI.items() for text in help_texts(typer.main.get_command(app), name)
    ]
    return f"\n{LINE}\n".join(texts) + "\n"


@pytest.mark.contract("7")
def test_the_help_of_each_command() -> None:
    """Commands, arguments, options, defaults and words are those of the page."""
    assert page() == PAGE.read_text("utf-8")


if __name__ == "__main__":
    sys.stdout.write(page())
