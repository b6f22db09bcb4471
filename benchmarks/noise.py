"""How many wrong labels does `linnet prepare` find? Labels of real sets are changed by chance, then looked for.

    python benchmarks/noise.py DATA_FOLDER      # with ag_news/test.csv, banking77/train.csv and others in it

Each set is prepared with 5, 10 and 20 % of its labels changed to another class. Of the train rows listed in
suspects.csv, precision is the share whose label had been changed, recall the share of the changed rows that are
listed. Wrong labels that a set had before count as false alarms, so its precision is a lower bound.
"""

import argparse
import csv
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from linnet.config import load_config
from linnet.data import prepare, read_split
from linnet.files import canonical_json, write_text

RESULTS = Path(__file__).parent / "results" / "noise.json"
SETS = {
    "ag_news": ("ag_news/test.csv", {"text_column": "1,2", "label_column": "0"}),
    "banking77": ("banking77/train.csv", {}),
    "sms_spam": ("sms_spam/sms.tsv", {"text_column": "1", "label_column": "0"}),
    "trec": ("trec/TREC.train", {}),
    "sst2": ("sst2/stsa.binary.train", {}),
}
SHARES = (0.05, 0.1, 0.2)
SEED = 42


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="DATA_FOLDER", help="folder of the sets")
    parser.add_argument(
        "--out", type=Path, default=RESULTS, metavar="FILE", help="the figures, as JSON"
    )
    arguments = parser.parse_args(argv)
    lines = [
        _line(name, arguments.folder / file, settings, share)
        for name, (file, settings) in SETS.items()
        for share in SHARES
    ]
    write_text(arguments.out, canonical_json({"seed": SEED, "lines": lines}))
    _show(lines)


def _line(name: str, file: Path, settings: dict[str, str], share: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        prepare(_config(file, settings), here / "clean")
        splits = [read_split(here / "clean", split) for split in ("train", "validation", "test")]
        names = splits[0].label_names
        rows = [
            (text, names[label])
            for split in splits
            for text, label in zip(split.texts, split.labels, strict=True)
        ]
        changed = _change(rows, names, share)
        with (here / "noisy.csv").open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows(
                [("text", "label"), *((text, changed.get(text, label)) for text, label in rows)]
            )
        card = prepare(_config(here / "noisy.csv", {}), here / "noisy")
        with (here / "noisy" / "suspects.csv").open(encoding="utf-8", newline="") as stream:
            listed = {row["text"] for row in csv.DictReader(stream)}
        wrong = changed.keys() & set(read_split(here / "noisy", "train").texts)
    found = len(listed & wrong)
    return {
        "set": name,
        "classes": len(names),
        "planted": share,
        "train_rows": card["noise"]["rows"],
        "wrong": len(wrong),
        "listed": len(listed),
        "precision": found / max(len(listed), 1),
        "recall": found / max(len(wrong), 1),
        "estimated": card["noise"]["share"],
        "agreement": card["noise"]["agreement"],
    }


def _config(file: Path, settings: dict[str, str]) -> Any:
    return load_config(
        None,
        {"data.source": str(file), **{f"data.{key}": value for key, value in settings.items()}},
    )


def _change(rows: list[tuple[str, str]], names: Sequence[str], share: float) -> dict[str, str]:
    """Texts to another label than theirs."""
    draw = random.Random(SEED)
    chosen = draw.sample(sorted(rows), round(share * len(rows)))
    return {text: draw.choice([name for name in names if name != label]) for text, label in chosen}


def _show(lines: list[dict[str, Any]]) -> None:
    table = Table(
        title="Planted wrong labels in real sets, and what suspects.csv lists", title_justify="left"
    )
    for header in ("set", "classes", "planted", "listed", "precision", "recall", "estimated share"):
        table.add_column(header, justify="left" if header == "set" else "right")
    for line in lines:
        shares = [f"{100 * line[key]:.0f} %" for key in ("precision", "recall", "estimated")]
        table.add_row(
            line["set"],
            str(line["classes"]),
            f"{100 * line['planted']:.0f} %",
            f"{line['listed']:,}",
            *shares,
        )
    Console().print(table)


if __name__ == "__main__":
    main()
