"""Show which words of a text moved a bundle's answer: each is left out, and the answer asked for again.

Words that speak for the label are green, those against it red; the numbers are by how much its log odds are higher with
the word than without it.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.text import Text

    from linnet.predict import Explanation

SUMMARY = "which words moved an answer"
STRONG, SOME = 0.5, 0.1  # of the largest weight


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("bundle", type=Path, help="the bundle, such as runs/NAME/bundle")
    parser.add_argument("text", help="the text")
    parser.add_argument(
        "--label", metavar="NAME", help="the label to explain (default: the most probable)"
    )


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from linnet.predict import load

    explanation = load(arguments.bundle).explain(arguments.text, arguments.label)
    console = Console(highlight=False)
    console.print(f"{explanation.label}, probability {explanation.probability:.4f}", markup=False)
    console.print(coloured(explanation))
    table = Table("word", "weight")
    for word in sorted(explanation.words, key=lambda word: -abs(word.weight)):
        table.add_row(Text(word.text), f"{word.weight:+.3f}")
    console.print(table)
    if explanation.truncated:
        console.print("The text is longer than the model reads; the end was cut off.")


def coloured(explanation: "Explanation") -> "Text":
    """The clean text; green what speaks for the label, red what speaks against it, bold where it does so much."""
    from rich.text import Text

    text = Text(explanation.text)
    most = max((abs(word.weight) for word in explanation.words), default=0.0)
    for word in explanation.words:
        share = abs(word.weight) / most if most else 0.0
        colour = "green" if word.weight > 0 else "red"
        if share > SOME:
            text.stylize(f"bold {colour}" if share > STRONG else colour, word.start, word.end)
    return text
