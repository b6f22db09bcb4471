"""The fenced blocks of README and of the task pages, in the order in which a reader meets them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Later pages use what earlier ones made. The README comes last, as its file of tweets is theirs.
PAGES = [
    *(
        ROOT / "docs" / f"{name}.md"
        for name in (
            "install first-model your-data splits labels several-labels settings train python tune distil "
            "prove score faster serve clients containers security operate troubleshoot coming-from"
        ).split()
    ),
    ROOT / "README.md",
]
FENCE = re.compile(
    r"(?:<!-- not run: (?P<reason>[^\n]+?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
RUNNABLE = ("sh", "python")


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        page: The file that holds it.
        line: Where it begins, from 1.
        language: `sh` or `python`.
        code: What it holds.
        reason: Why it is not run; None if it is.
    """

    page: Path
    line: int
    language: str
    code: str
    reason: str | None

    @property
    def name(self) -> str:
        """Where it is, for messages."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """The runnable blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        if match["language"] in RUNNABLE:
            line = text.count("\n", 0, match.start("code"))
            yield Block(page, line, match["language"], match["code"], match["reason"])


def commands(block: Block) -> Iterator[str]:
    """The commands of a shell block, one line each."""
    code = re.sub(r"<<'END'\n.*?^END$", "", block.code, flags=re.MULTILINE | re.DOTALL)
    for line in code.replace("\\\n", " ").splitlines():
        if line.strip():
            yield line.strip()
