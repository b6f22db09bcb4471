"""Which split a file is of by its name, with the words and the rule of Hugging Face `datasets`.

A word counts where it is a whole one: at an end of the name, or between marks or digits.
"""

import re
from collections.abc import Iterable
from pathlib import Path, PurePath

TRAIN = "train"
VALIDATION = "validation"
TEST = "test"
WORDS = {
    TRAIN: ("train", "training"),
    VALIDATION: ("validation", "valid", "val", "dev", "devel"),
    TEST: ("test", "testing", "eval", "evaluation", "heldout"),
}
SPLIT_OF_WORD = {word: split for split, words in WORDS.items() for word in words}
WORD = re.compile(rf"(?<![a-z])({'|'.join(sorted(SPLIT_OF_WORD, key=len, reverse=True))})(?![a-z])")
MAX_SHARDS = 100_000
SHARD = re.compile(r"(.*?)([0-9]+)-of-([0-9]+)(.*)")


def split_of(place: PurePath) -> str:
    """The split that a file's name says, else that its folders' names say; empty for none.

    Args:
        place: Its path below the folder that the user named.
    """
    for name in reversed(place.parts):
        if found := WORD.search(name.lower()):
            return SPLIT_OF_WORD[found[1]]
    return ""


def by_split(folder: Path, files: Iterable[Path]) -> dict[str, list[Path]]:
    """The files of each split, and under an empty string those whose names say none."""
    found: dict[str, list[Path]] = {split: [] for split in (*WORDS, "")}
    for file in files:
        found[split_of(file.relative_to(folder))].append(file)
    return found


def missing_shards(files: Iterable[Path]) -> list[str]:
    """Names of missing shards, by the count in the others, such as train-00001-of-00002.parquet."""
    numbers: dict[tuple[Path, str, str, str], set[int]] = {}
    for file in files:
        if found := SHARD.fullmatch(file.name):
            key = (file.parent, found[1], found[3], found[4])
            numbers.setdefault(key, set()).add(int(found[2]))
    missing = []
    for (_, before, count, after), there in numbers.items():
        # Some tools count from 1. A number that no folder can hold is no count.
        first = 1 if int(count) in there else 0
        if int(count) <= MAX_SHARDS:
            missing += [
                f"{before}{number:0{len(count)}}-of-{count}{after}"
                for number in range(first, first + int(count))
                if number not in there
            ]
    return missing
