"""Plain English in docs, source and messages: no phrase that readers stumble over, short lines.

python tests/test_language.py src/linnet/train docs    # lists what is found below these paths
"""

import ast
import io
import re
import statistics
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "linnet"
MAX_COLUMNS = 100
# Quotes of strings, marks of comments and spaces around the words of a line.
OPENING = re.compile(r"^\s*(?:#+|[rbf]{0,2}[\"']+)?\s*", re.IGNORECASE)
CLOSING = " \t\"'"

# Each is a regular expression, and what to write instead.
PHRASES = {
    r"\bbeside (?!the point)": "next to, with, besides",
    r"\bstands?\b(?! (?:for|alone|out)\b)": "is",
    r"\btold\b(?! apart)": "the word for what it is: printed, reported, known",
    r"\banew\b": "again",
    r"\bgo(?:es|ing|ne)? on (?:with|from)\b": "continue, resume",
    r"\bmend(?:s|ed|ing)?\b": "repair, fix",
    r"\b(?:lies|lie) in\b": "is in",
    r"\ba (?:text|row|label|line|page|second|core) an? (?:text|row|label|line|second|core)\b": "per",
    r"\b(?:rows|texts|labels) a (?:second|text|class|label|line)\b": "per",
    r"\bany number of labels\b": "multi-label",
    r"\bas people write it\b": "in its usual form",
    r"\bof which\b": "a second sentence",
    r"\bis so\b|\bdoes so\b": "the verb itself",
    r"\bhence\b|\bthereof\b|\bwherein\b|\blest\b|\bwhereupon\b": "plain English",
    r"\w\(s\)(?=[\s.,:;]|$)": "the plural, or a count",
}
# Rooms whose prose is still to be rewritten: none.
NOT_CLEAN_YET: tuple[str, ...] = ()
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
# The pages that a user reads from top to bottom.
GUIDES = [
    page
    for page in PAGES
    if page.stem
    not in {
        "architecture",
        "results",
        "log",
        "reference",
        "sentiment140",
        "SECURITY",
        "CONTRIBUTING",
        "CHANGELOG",
    }
]


@dataclass(frozen=True)
class Prose:
    """A piece of text that people read, and where it is."""

    path: Path
    line: int
    text: str


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


# Since Python 3.12 the text of an f-string is a token of its own.
TEXT_TOKENS = {
    tokenize.COMMENT,
    tokenize.STRING,
    *(getattr(tokenize, kind, -1) for kind in ("FSTRING_MIDDLE", "TSTRING_MIDDLE")),
}


def prose_of_python(path: Path) -> Iterator[Prose]:
    """Comments and strings, docstrings among them."""
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in TEXT_TOKENS:
            for offset, line in enumerate(token.string.splitlines()):
                yield Prose(path, token.start[0] + offset, line)


def prose(path: Path) -> Iterator[Prose]:
    """What people read of a file."""
    if path.suffix == ".py":
        yield from prose_of_python(path)
        return
    fenced = False
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield Prose(path, number, line)


def files() -> Iterator[Path]:
    for pattern in ("**/*.py", "**/*.toml", "**/*.html"):
        yield from sorted(SOURCE.glob(pattern))
    yield from PAGES


def phrases(path: Path) -> list[str]:
    """Where a file has a phrase that is refused, also across the end of a line."""
    found = []
    pieces = list(prose(path))
    for number, piece in enumerate(pieces):
        after = pieces[number + 1] if number + 1 < len(pieces) else None
        text = piece.text.rstrip(CLOSING)
        end = len(text)
        if after and after.line == piece.line + 1:
            text = f"{text} {OPENING.sub('', after.text)}"
        for phrase, instead in PHRASES.items():
            match = re.search(phrase, text, re.IGNORECASE)
            if match and match.start() < end:
                found.append(f"{name(path)}:{piece.line}: {match[0]!r}; write {instead}")
    return found


def lines_of_content(source: str) -> set[int]:
    """Lines of strings over several lines that are no docstring: text that Linnet writes."""
    lines = [line.encode() for line in source.splitlines()]
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in docstrings:
            start = lines[node.lineno - 1][node.col_offset : node.col_offset + 5]
            if b'"""' in start and node.end_lineno:
                found |= set(range(node.lineno, node.end_lineno + 1))
    return found


def long_lines(path: Path) -> list[str]:
    """Lines of over 100 columns, but for tables, links and code in docs."""
    found = []
    fenced = False
    source = path.read_text(encoding="utf-8")
    content = lines_of_content(source) if path.suffix == ".py" else set()
    for number, line in enumerate(source.splitlines(), 1):
        if number in content or "# type:" in line or "# noqa" in line:
            continue
        if path.suffix == ".md":
            fenced ^= line.startswith("```")
            if fenced or line.lstrip().startswith(("|", "!", "[", "```")) or "](" in line:
                continue
        if len(line) > MAX_COLUMNS and "://" not in line:
            found.append(f"{name(path)}:{number}: {len(line)} columns")
    return found


def parallel_assignments(path: Path) -> list[str]:
    """`a, b = 1, 2` hides two assignments in one line; a swap is none."""
    if path.suffix != ".py":
        return []
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Tuple):
            continue
        if isinstance(node.targets[0], ast.Tuple):
            targets = {ast.unparse(item) for item in node.targets[0].elts}
            if targets != {ast.unparse(item) for item in node.value.elts}:
                found.append(f"{name(path)}:{node.lineno}: several assignments in one line")
    return found


def findings(path: Path) -> list[str]:
    found = phrases(path)
    if path.suffix in (".py", ".toml", ".md"):
        found += long_lines(path)
    return found + parallel_assignments(path)


def is_clean_yet(path: Path) -> bool:
    return not name(path).startswith(NOT_CLEAN_YET)


CHECKED = [path for path in files() if is_clean_yet(path)]


@pytest.mark.parametrize("path", CHECKED, ids=name)
def test_the_language_is_plain(path: Path):
    assert findings(path) == []


def test_the_list_of_rooms_is_not_older_than_the_rooms():
    for room in NOT_CLEAN_YET:
        assert (ROOT / room).exists(), f"{room} is gone"
        inside = [path for path in files() if name(path).startswith(room)]
        assert any(findings(path) for path in inside), f"{room} is clean: take it off the list"


BAD = """# The run stands, as it is told.
MESSAGE = (
    "The work goes on "
    f"from {1} place"
)
first, second = 1, 2
"""
GOOD = """# Linnet understands standards; the commander outstanding stands for it and amends nothing.
MESSAGE = "a line after a line"
first, second = (1, 2)[::-1]
first, second = second, first
"""


def test_what_is_refused_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    page = tmp_path / "page.py"
    page.write_text(BAD + f"LONG = '{'x' * 100}'\n")
    found = findings(page)
    assert [finding.split(":")[1] for finding in found] == ["1", "1", "3", "7", "6"]
    page.write_text(GOOD)
    assert findings(page) == []


def sentences(page: Path) -> list[str]:
    """The sentences of running text, without tables, headings, lists of links and code."""
    text = " \n".join(
        re.sub(r"^\s*(?:[-*]|\d+\.)\s+", "", piece.text)
        for piece in prose(page)
        if piece.text.strip() and not piece.text.startswith(("#", "|", "!", "<", "[", "    "))
    )
    text = re.sub(r"`[^`]*`", "code", re.sub(r"\]\([^)]*\)", "", text))
    parts = re.split(r"(?<=[.!?:])\s+(?=[A-Z*\n])|\n(?=[A-Z*])", text)
    return [part.strip() for part in parts if len(part.split()) > 1]


def words(page: Path) -> list[int]:
    return [len(sentence.split()) for sentence in sentences(page)]


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_the_sentences_of_a_guide_are_short(page: Path):
    lengths = sorted(words(page))
    assert statistics.median(lengths) <= 13
    assert lengths[int(0.9 * (len(lengths) - 1))] <= 24


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_a_sentence_of_a_guide_has_few_commas(page: Path):
    found = sentences(page)
    assert sum(sentence.count(",") for sentence in found) <= len(found)
    assert not [sentence for sentence in found if ";" in sentence and len(sentence.split()) > 20]


def test_every_setting_has_a_comment_of_its_own():
    lines = (SOURCE / "defaults.toml").read_text(encoding="utf-8").splitlines()
    settings = [n for n, line in enumerate(lines) if re.match(r"^[a-z_]+ = ", line)]
    without = [
        lines[n] for n in settings if not lines[n - 1].startswith("#") and "#" not in lines[n]
    ]
    if not is_clean_yet(SOURCE / "defaults.toml"):
        pytest.skip(f"{len(without)} settings have no comment of their own yet")
    assert not without


if __name__ == "__main__":
    below = [(Path.cwd() / argument).resolve() for argument in sys.argv[1:]] or [ROOT]
    for file in files():
        if any(file == place or place in file.parents for place in below):
            print("\n".join(findings(file)), end="\n" if findings(file) else "")
