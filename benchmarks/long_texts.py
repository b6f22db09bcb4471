"""How much faster are long texts, of which a model reads the start, than when all of each is tokenized?

    python benchmarks/long_texts.py --bundle BUNDLE

Texts of 100,000 characters, of words that the bundle's tokenizer knows: tokenized, answered in Python, and scored from
a file to a file (`linnet score`, the load of the bundle included), read in part and read whole in turns. The ids are
checked to be the same. Figures are medians.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

import linnet
from linnet.config import load_config
from linnet.files import canonical_json, write_text
from linnet.lineage import lineage
from linnet.score import score
from linnet.text import Tokenizer

RESULTS = Path(__file__).parent / "results" / "long_texts.json"
IN_PART = Tokenizer.encode
WAYS = {"in part": Tokenizer.encode, "whole": Tokenizer.encode_whole}


def main() -> None:
    """Measure, show and store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, required=True, help="what `linnet export` wrote")
    parser.add_argument("--characters", type=int, default=100_000, help="of one text")
    parser.add_argument("--texts", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file of figures")
    arguments = parser.parse_args()
    config, classifier = load_config(), linnet.load(arguments.bundle)
    (tokenizer, *_) = classifier.codec.tokenizers
    texts = make_texts(tokenizer, arguments.texts, arguments.characters)
    if tokenizer.encode(texts) != tokenizer.encode_whole(texts):
        raise SystemExit("The ids differ: the comparison is of no use.")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "texts.csv")
        write_text(source, "\n".join(["text", *texts, ""]))
        works: dict[str, Callable[[], object]] = {
            "tokenize": lambda: tokenizer.encode(texts),
            "predict, in Python": lambda: classifier.predict(texts),
            "linnet score": lambda: score(
                config, arguments.bundle, source, Path(folder, f"{time.monotonic_ns()}.csv")
            ),
        }
        seconds = measure(works, arguments.rounds)
    results = {
        "texts": arguments.texts,
        "characters": arguments.characters,
        "max_length": tokenizer.max_length,
        "rounds": arguments.rounds,
        "seconds_per_text": {
            name: {way: statistics.median(times) / len(texts) for way, times in ways.items()}
            for name, ways in seconds.items()
        },
        "lineage": lineage(),
    }
    write_text(arguments.out, canonical_json(results))
    show(results)


def make_texts(tokenizer: Tokenizer, count: int, characters: int) -> list[str]:
    """Texts of words from the vocabulary, as no one owns those."""
    vocabulary = tokenizer._tokenizer.get_vocab()
    words = sorted(word for word in vocabulary if word.isascii() and word.isalpha())
    draw = random.Random(0)
    return [" ".join(draw.choices(words, k=characters))[:characters].rstrip() for _ in range(count)]


def measure(
    works: dict[str, Callable[[], object]], rounds: int
) -> dict[str, dict[str, Sequence[float]]]:
    """Seconds of each work by each way, in turns."""
    seconds: dict[str, dict[str, list[float]]] = {name: {w: [] for w in WAYS} for name in works}
    for number in range(rounds):
        for name, work in works.items():
            for way in sorted(WAYS, reverse=bool(number % 2)):
                Tokenizer.encode = WAYS[way]  # type: ignore[method-assign]
                began = time.perf_counter()
                work()
                seconds[name][way].append(time.perf_counter() - began)
                Tokenizer.encode = IN_PART  # type: ignore[method-assign]
    return {name: dict(ways) for name, ways in seconds.items()}


def show(results: dict[str, object]) -> None:
    """Print the table."""
    title = f"Texts of {results['characters']:,} characters, max_length {results['max_length']}"
    table = Table("what", "whole, ms a text", "in part, ms a text", "times faster", title=title)
    figures = results["seconds_per_text"]
    assert isinstance(figures, dict)
    for name, ways in figures.items():
        whole, part = ways["whole"], ways["in part"]
        table.add_row(name, f"{1000 * whole:.1f}", f"{1000 * part:.2f}", f"{whole / part:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
