"""How long does a swap of models hold up requests, by the size of the vocabulary?

    python benchmarks/vocabulary.py --bundle BUNDLE

A bundle's WordPiece vocabulary is filled up to the sizes asked for. A real `linnet serve`
swaps from the bundle to such a copy, from there to a second copy with the same tokenizer, and back.
Meanwhile /healthz is asked every millisecond on one connection. Requests wait while the front reads
a tokenizer, as the library keeps Python's lock until it is done. A tokenizer that a model at work
has too is not read. The figure is the longest answer of a swap, the median of all rounds. The front
and the workers that start need a core each.

Then, in one process: the time that reading made-up tokenizers of other kinds takes.
"""

import argparse
import asyncio
import json
import random
import shutil
import statistics
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tokenizers
from rich.console import Console
from rich.table import Table

from linnet.bundle import Bundle, write_manifest
from linnet.files import canonical_json, write_text
from linnet.lineage import lineage

RESULTS = Path(__file__).parent / "results" / "vocabulary.json"
SIZES = 30_522, 100_000, 250_000  # BERT's; in between; XLM-RoBERTa's
SWAPS = "to another tokenizer", "to the same tokenizer", "back"
KINDS = "WordPiece", "BPE", "Unigram"
EMPTY = {"version": "1.0", "added_tokens": []}
WORD_PIECE = {"continuing_subword_prefix": "##", "max_input_chars_per_word": 100}
PAUSE = 0.001  # seconds between two requests
PROBE = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def main() -> None:
    """Measure, show and store."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bundle", type=Path, required=True, help="what `linnet export` wrote")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="words")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file of figures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copies = {
            size: [make_copy(arguments.bundle, Path(folder, f"{size}-{i}"), size) for i in (1, 2)]
            for size in arguments.sizes
        }
        seconds = measure(arguments.bundle.resolve(), copies, arguments.rounds, Path(folder))
    read = {size: {kind: read_seconds(kind, size) for kind in KINDS} for size in arguments.sizes}
    medians = {
        str(size): {swap: statistics.median(times) for swap, times in swaps.items()}
        for size, swaps in seconds.items()
    }
    results = {
        "rounds": arguments.rounds,
        "longest_seconds": medians,
        "read_seconds": {str(size): kinds for size, kinds in read.items()},
        "lineage": lineage(),
    }
    write_text(arguments.out, canonical_json(results))
    show("The longest answer during a swap, ms", SWAPS, results["longest_seconds"])
    show("Reading a tokenizer, ms", KINDS, results["read_seconds"])


def make_copy(bundle: Path, folder: Path, size: int) -> Path:
    """The bundle with a vocabulary of some size, sealed; the folder's name is its name."""
    shutil.copytree(bundle, folder)
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    vocabulary, draw = content["model"]["vocab"], random.Random(0)
    rows = len(vocabulary)  # of the model's embeddings; words beyond them share an id
    while len(vocabulary) < size:
        word = "".join(draw.choices(string.ascii_lowercase, k=draw.randint(3, 9)))
        vocabulary.setdefault(word, len(vocabulary) % rows)
    path.write_text(json.dumps(content), encoding="utf-8")
    fields = Bundle.read(folder).manifest.model_dump(exclude={"format", "files", "digest"})
    write_manifest(folder, **fields | {"name": folder.name})
    return folder


def measure(
    bundle: Path, copies: dict[int, list[Path]], rounds: int, folder: Path
) -> dict[int, dict[str, list[float]]]:
    """The longest answer, in seconds, during each swap."""
    seconds: dict[int, dict[str, list[float]]] = {
        size: {swap: [] for swap in SWAPS} for size in copies
    }
    settings = ["serve.admin_without_keys=true", 'prediction_log.url=""', "serve.port=0"]
    flags = [part for one in settings for part in ("--set", one)]
    process = subprocess.Popen(
        [sys.executable, "-m", "linnet.cli.main", "serve", str(bundle), *flags],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout
        port = int(process.stdout.readline().rsplit(":", 1)[1])
        for _ in range(rounds):
            for size, (first, second) in copies.items():
                for swap, to in zip(SWAPS, (first, second, bundle), strict=True):
                    seconds[size][swap].append(asyncio.run(swapped(port, to)))
    finally:
        process.terminate()
        process.wait(60)
    return seconds


async def swapped(port: int, bundle: Path) -> float:
    """The longest answer to a probe, in seconds, while a bundle is put to work."""
    longest, ended = 0.0, asyncio.Event()

    async def probe() -> None:
        nonlocal longest
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not ended.is_set():
            began = time.perf_counter()
            writer.write(PROBE)
            await read_answer(reader)
            longest = max(longest, time.perf_counter() - began)
            await asyncio.sleep(PAUSE)
        writer.close()

    probing = asyncio.create_task(probe())
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = json.dumps({"arms": {"champion": {"bundle": str(bundle)}}})
    writer.write(
        f"POST /admin/models HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    status, answer = await read_answer(reader)
    if status != 200:
        raise SystemExit(f"The swap was refused: {answer.decode()}")
    await asyncio.sleep(1.0)  # the former model is let go
    ended.set()
    await probing
    writer.close()
    return longest


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The status and the body of an answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
    return int(head.split()[1]), await reader.readexactly(length)


def read_seconds(kind: str, size: int, times: int = 5) -> float:
    """What reading a tokenizer of a kind takes, in seconds of the processor: the median."""
    content = json.dumps({**EMPTY, "model": made_up(kind, size)}).encode()
    found = []
    for _ in range(times):
        began = time.thread_time()
        tokenizers.Tokenizer.from_buffer(content)
        found.append(time.thread_time() - began)
    return statistics.median(found)


def made_up(kind: str, size: int) -> dict[str, Any]:
    """The model of a tokenizer: words of letters, for BPE each merged from two others."""
    words, merges, draw = list(string.ascii_lowercase), [], random.Random(0)
    short, known = list(words), set(words)
    while len(words) < size:
        pair = draw.choice(short), draw.choice(short)
        word = "".join(pair)
        if word not in known:
            known.add(word)
            words.append(word)
            merges.append(pair)
            if len(word) < 6:
                short.append(word)
    ids = {word: number for number, word in enumerate(words)}
    return {
        "WordPiece": {"vocab": ids, "unk_token": "a", **WORD_PIECE},
        "BPE": {"vocab": ids, "merges": merges},
        "Unigram": {"vocab": [[word, -number / size] for word, number in ids.items()], "unk_id": 0},
    }[kind] | {"type": kind}


def show(title: str, columns: Sequence[str], seconds: dict[str, Any]) -> None:
    """Print a table."""
    table = Table("words", *columns, title=title)
    for size, row in seconds.items():
        table.add_row(f"{int(size):,}", *(f"{1000 * row[name]:.0f}" for name in columns))
    Console().print(table)


if __name__ == "__main__":
    main()
