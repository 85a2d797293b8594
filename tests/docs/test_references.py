"""Every reference in code, tests and pages leads to something that exists."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.support.paths import DOCS, ROOT

FOLDERS: Final = (
    "publisher",
    "consumers",
    "plumbing",
    "tests",
    "bench",
    "docs",
    "schemas",
    "deploy",
)
ENDINGS: Final = {".py", ".lua", ".md", ".toml", ".json", ".yml", ".html"}
HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
CODE_BLOCK: Final = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
ANCHOR: Final = re.compile(r'<a id="([^"]+)">')
CONTRACT: Final = re.compile(
    r"\bcontract(?:'s)?[,.]? \(?(\d+(?:\.\d+)?)(?: (?:to|and) (\d+(?:\.\d+)?))?"
)
LOG_LINE: Final = re.compile(r'[Ll]og line "([^"]+)"')
API: Final = re.compile(r"TikTok Shop API, ([A-Z][a-z]+(?: [A-Z][a-z]+)?)(?: and ([A-Z][a-z]+))?")

OURS: Final = r"(?<![\w./-])(?:publisher|consumers|plumbing|tests|bench|docs|deploy|schemas)"
PATH: Final = re.compile(OURS + r"/[\w./{},@-]*[\w}/]")
MODULE: Final = re.compile(OURS + r"(?:\.(?!py\b|toml|env|tar|json|db|txt)\w+)+")
PYTHON_FILE: Final = re.compile(r"`(\w+\.(?:py|lua))`")


def files() -> list[Path]:
    """Return all files that may contain references: code, tests and pages."""
    below = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]
    found = [path for path in [*ROOT.glob("*.md"), *below] if path.suffix in ENDINGS]
    return sorted(path for path in found if path != Path(__file__))


def pages() -> list[Path]:
    """Return all pages in Markdown."""
    return [path for path in files() if path.suffix == ".md"]


def headings(page: Path) -> list[str]:
    """Return the page's headings, without those that are comments in code blocks."""
    return HEADING.findall(CODE_BLOCK.sub("", page.read_text("utf-8")))


def anchors(page: Path) -> set[str]:
    """Return the anchors of the page.

    They are those of headings as GitHub makes them, and the page's own.
    """
    slugs = (
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings(page)
    )
    return {*slugs, *ANCHOR.findall(page.read_text("utf-8"))}


def chapters() -> set[str]:
    """Return the numbers of the contract's chapters: `5`, `5.6`."""
    numbers = (
        re.match(r"(\d+(?:\.\d+)?)\.? ", heading) for heading in headings(DOCS / "contract.md")
    )
    return {number[1] for number in numbers if number}


def references(pattern: re.Pattern[str]) -> Iterator[tuple[Path, str]]:
    """Yield each chapter cited in the form of `pattern`, with the file that cites it.

    A reference may go over a line's end, and over the mark of a comment.
    """
    for path in files():
        text = re.sub(r"\s*\n\s*(?:#|--|\|)?\s*", " ", path.read_text("utf-8"))
        for found in pattern.finditer(text):
            yield from ((path, chapter) for chapter in found.groups() if chapter)


def test_the_contract_has_its_rules() -> None:
    """Its eight chapters and the eleven rules of chapter 5 can be cited by number."""
    assert chapters() == {*map(str, range(1, 9)), *(f"5.{rule}" for rule in range(1, 12))}


def test_chapters_of_the_contract() -> None:
    """Each cited chapter of the contract exists."""
    cited = list(references(CONTRACT))
    assert len(cited) > 100
    assert [each for each in cited if each[1] not in chapters()] == []


def test_chapters_of_the_api() -> None:
    """Each cited chapter of the page about TikTok Shop's API exists."""
    known = headings(DOCS / "tiktok-shop-api.md")
    assert known[1:] == ["Get Categories", "Signature", "Tokens", "Errors"]
    cited = list(references(API))
    assert len(cited) > 15
    assert [each for each in cited if each[1] not in known] == []


def test_quoted_log_lines() -> None:
    """Each log line that a page quotes is in the code."""
    code = "".join(path.read_text("utf-8") for path in files() if path.suffix == ".py")
    quoted = [line for page in pages() for line in LOG_LINE.findall(page.read_text("utf-8"))]
    assert quoted
    assert [line for line in quoted if f'"{line}"' not in code] == []


def test_the_texts_are_in_the_checkout() -> None:
    """No page refers to a folder outside the checkout."""
    assert [page for page in pages() if "../shared" in page.read_text("utf-8")] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links(page: Path) -> None:
    """Each relative link leads to a file, and to a heading or anchor in it."""
    broken = []
    for link in LINK.findall(CODE_BLOCK.sub("", page.read_text("utf-8"))):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_modules(page: Path) -> None:
    """Each file and module of ours that a page names exists."""
    text = re.sub(r"\[[^\]]*\]\(", "(", page.read_text("utf-8"))  # links have a test of their own
    paths = {path for found in PATH.findall(text) for path in expand(found)}
    names = {name for name in PYTHON_FILE.findall(text) if not list(ROOT.glob(f"*/**/{name}"))}
    missing = {path for path in paths if "NAME" not in path and not (ROOT / path).exists()}
    assert missing | names | {name for name in MODULE.findall(text) if not exists(name)} == set()


def expand(path: str) -> list[str]:
    """Return the paths that `folder/{a,b}.py` stands for."""
    found = re.fullmatch(r"(.*)\{(.*)\}(.*)", path)
    return [f"{found[1]}{each}{found[3]}" for each in found[2].split(",")] if found else [path]


def exists(name: str) -> bool:
    """Return whether `name` is a module or package of the checkout, or a name in one."""
    path = ROOT.joinpath(*name.split("."))
    inside = path.parent.with_suffix(".py")
    return (
        path.is_dir()
        or path.with_suffix(".py").is_file()
        or (inside.is_file() and path.name in inside.read_text("utf-8"))
    )
