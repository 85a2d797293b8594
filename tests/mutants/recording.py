"""Records which test calls which function, in every process that the test starts.

A copy of the code (copied_tree.py) loads this module when its interpreter starts. Each function then
first calls NAME, which writes the number of the running test and the function to a log. The number
is in shared memory, so it also reaches processes that get no environment, are forked or killed.
"""

import ast
import builtins
import contextlib
import importlib.machinery
import mmap
import os
import sys
from pathlib import Path
from types import CodeType
from typing import Any, Final

TREE: Final = Path(__file__).parents[2]
FOLDER: Final = TREE / ".recorded"
LOG: Final = FOLDER / "calls"
RUNNING: Final = FOLDER / "running"
"""The number of the running test, 8 bytes."""
SIZE: Final = 8
NAME: Final = "__called__"
PACKAGES: Final = ("publisher", "consumers", "plumbing")

_open, _write, _close = os.open, os.write, os.close  # a test may replace them


def install() -> None:
    """Let every function of our packages record its calls."""
    with RUNNING.open("r+b") as file:
        running = mmap.mmap(file.fileno(), SIZE)
    known: set[tuple[bytes, str]] = set()

    def record(function: str) -> None:
        call = running[:], function
        if call not in known:
            known.add(call)
            _append(f"{int.from_bytes(call[0], 'big')} {function}\n".encode())

    vars(builtins)[NAME] = record
    sys.pycache_prefix = str(FOLDER / "bytecode")
    prefixes = tuple(f"{TREE / package}{os.sep}" for package in PACKAGES)
    compile_as_it_is = importlib.machinery.SourceFileLoader.source_to_code

    def compile_with_calls(loader: Any, data: Any, path: str, **options: Any) -> CodeType:
        if str(path).startswith(prefixes):
            data = with_calls(data, str(Path(path).relative_to(TREE)))
        code: CodeType = compile_as_it_is(loader, data, path, **options)
        return code

    loader: Any = importlib.machinery.SourceFileLoader
    loader.source_to_code = compile_with_calls


def _append(line: bytes) -> None:
    """Write a line, if the process has the rights and the space for it."""
    with contextlib.suppress(OSError):
        log = _open(LOG, os.O_WRONLY | os.O_APPEND)
        try:
            _write(log, line)
        finally:
            _close(log)


def with_calls(source: bytes, path: str) -> ast.Module:
    """Return the module with a call of NAME at the start of each function."""
    module = ast.parse(source)
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            (call,) = ast.parse(f"{NAME}({f'{path}:{node.lineno}'!r})").body
            for each in ast.walk(call):
                ast.copy_location(each, node.body[0])
            node.body.insert(0 if ast.get_docstring(node) is None else 1, call)
    return ast.fix_missing_locations(module)
