"""Show which words of a text moved a bundle's answer.

Each word is left out, and the answer asked for again.

Words that speak for the label are green, those against it red; the numbers are by how much its log
odds are higher with the word than without it.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from linnet.cli.tables import add_row, new_table, print_styled, print_table
from linnet.terminal import print_line

if TYPE_CHECKING:
    from linnet.predict import Explanation

SUMMARY = "which words moved an answer"
# of the largest weight
STRONG = 0.5
SOME = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("bundle", type=Path, help="the bundle, such as runs/NAME/bundle")
    parser.add_argument("text", help="the text")
    parser.add_argument(
        "--label", metavar="NAME", help="the label to explain (default: the most probable)"
    )


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from linnet.predict import load

    explanation = load(arguments.bundle).explain(arguments.text, arguments.label)
    print_line(f"{explanation.label}, probability {explanation.probability:.4f}")
    print_styled(explanation.text, styles(explanation))
    table = new_table("word", "weight")
    for word in sorted(explanation.words, key=lambda word: -abs(word.weight)):
        add_row(table, word.text, f"{word.weight:+.3f}")
    print_table(table)
    if explanation.truncated:
        print_line("The text is longer than the model reads; the end was cut off.")


def styles(explanation: "Explanation") -> list[tuple[str, int, int]]:
    """Style, begin and end of each word that moved the answer.

    Green speaks for the label, red against it; bold is strong.
    """
    most = max((abs(word.weight) for word in explanation.words), default=0.0)
    found = []
    for word in explanation.words:
        share = abs(word.weight) / most if most else 0.0
        colour = "green" if word.weight > 0 else "red"
        if share > SOME:
            found.append((f"bold {colour}" if share > STRONG else colour, word.start, word.end))
    return found
