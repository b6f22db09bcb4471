"""Score a file: read a chunk, predict it and write it, until all rows are done."""

import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

from linnet.config import Config, ScoreConfig
from linnet.errors import DataError, TextError, UsageError
from linnet.files import disk_errors
from linnet.predict import Classifier, load
from linnet.progress import Task, progress
from linnet.score.chunks import Chunk
from linnet.score.columns import Answer, Column, added_columns, values
from linnet.score.resume import ResumableScoring, resumable
from linnet.score.table import Table, open_table
from linnet.score.target import Target
from linnet.tables.columns import Asked
from linnet.tables.identify import identify
from linnet.tables.lines import plain_encoding
from linnet.tables.source import EXPECTED, LINES, Reading, Source

TEXT_LINES = ".txt"
UNSCORED = "unscored "  # prefix of a reason among the counts


@dataclass(frozen=True)
class Scored:
    """Counts of a finished scoring.

    Attributes:
        rows: Rows of the file. The written file has all of them in the same order.
        scored: Rows with a prediction.
        truncated: Scored rows whose text was longer than the model's limit.
        abstained: Scored rows below the confidence threshold.
        unlabelled: Scored rows to which a multi-label model gives no label.
        reasons: Number of rows without a prediction by reason, the most frequent first.
        resumed: Rows that an earlier call had scored.
        notes: Sentences about how the file was read, for the user.
    """

    rows: int
    scored: int
    truncated: int
    abstained: int
    unlabelled: int
    reasons: dict[str, int]
    resumed: int
    notes: tuple[str, ...] = ()


def score(
    config: Config, bundle: Path, path: Path, out: Path, *, overwrite: bool = False
) -> Scored:
    """Write all rows of a file in their order, with predictions added to each.

    If a call was stopped, the same call resumes it, and the result is the same to the byte. Memory
    is bounded by `score.chunk_size` and by `chunks.CHUNK_BYTES`, for a file of any size.

    Args:
        config: The sections `score` and `predict` are used.
        bundle: A folder that `linnet export` wrote.
        path: The file, or `-` for standard input, which can't be resumed.
        out: The file to write, which appears whole or not at all; or `-` for standard output.
        overwrite: Restart, even if the target has unfinished work.

    Raises:
        BundleError: The bundle is broken, changed or unproven.
        DataError: The file does not match its name, is damaged, or changed while it was read.
        StorageError: The disk refused a write. The same call resumes.
        UsageError: The target has other unfinished work, or a name or a setting is invalid.
    """
    _check_file(path, bundle)
    source = _find(path, config.score)
    target = Target.find(out, source)
    classifier = load(bundle, **config.predict.model_dump())
    columns = added_columns(classifier.bundle.manifest, config.score)
    reading = Reading(ahead=False)
    with reading.open(source) as stream:
        table = open_table(source, stream, target, config.score, columns, classifier.labels)
        job = _Job(config, classifier, columns, table, source, reading)
        return job.stream(sys.stdout.buffer) if target.standard else job.write(target, overwrite)


def _check_file(path: Path, bundle: Path) -> None:
    """Refuse a folder, because one call writes one file.

    Raises:
        UsageError: It is a folder; the message shows a loop over its files.
    """
    is_folder = False
    with suppress(OSError):  # an invalid name is reported when the file is opened
        is_folder = path.is_dir()
    if is_folder:
        folder = shlex.quote(str(path))
        raise UsageError(
            f"{path} is a folder, and `linnet score` reads one file at a time. "
            f"Score its files in a loop: for file in {folder}/*; "
            f"do linnet score {shlex.quote(str(bundle))} "
            '"$file" --out "scored-$(basename "$file")"; done'
        )


def _find(path: Path, settings: ScoreConfig) -> Source:
    """Find the file and recognise its format.

    Raises:
        DataError: The file does not exist or does not match its name.
        UsageError: Neither its name nor its first lines show the format.
    """
    source = Source.find(path, settings.format, empty=True)
    if settings.format:
        return source
    encoding = plain_encoding(settings.encoding, "score.encoding")
    found = identify(source, Asked.of(settings.text_column), encoding)
    if found.format == LINES and not found.standard and found.suffix != TEXT_LINES:
        raise UsageError(
            f"The format of {path} could not be recognised. "
            f"{EXPECTED}; or {TEXT_LINES} for one text per line; or name it with --format."
        )
    return found


class _Job:
    """One file on its way; see `score`."""

    def __init__(
        self,
        config: Config,
        classifier: Classifier,
        columns: Sequence[Column],
        table: Table,
        source: Source,
        reading: Reading,
    ):
        self._config = config
        self._classifier = classifier
        self._columns = columns
        self._table = table
        self._source = source
        self._reading = reading
        self._counts: Counter[str] = Counter()

    def stream(self, to: IO[bytes]) -> Scored:
        """Write to an open stream."""
        _send(to, self._table.head())
        with self._progress() as task:
            for chunk in self._table.chunks(self._table.start):
                _send(to, self._answer(chunk, task))
        return self._scored(0)

    def write(self, target: Target, overwrite: bool) -> Scored:
        """Write a file, or go on writing it."""
        before = None if self._source.standard else self._stat()
        with resumable(target.path, self._identity(target), overwrite) as work:
            if self._source.standard:
                work.restart()
            self._counts.update(work.counts)
            resumed = self._counts["rows"]
            if work.finished:
                work.remove()
            else:
                self._write_chunks(work)
                if before is not None and self._stat() != before:
                    raise DataError(
                        f"{self._source.path} changed while it was scored. "
                        "Score it again with --overwrite."
                    )
                with disk_errors(target.path):
                    whole = self._table.finish(work.rows, work.whole())
                if (written := self._table.count(whole)) != self._counts["rows"]:
                    raise AssertionError(
                        f"{self._counts['rows']} rows were read and {written} written to {whole}"
                    )
                work.put(whole)
        return self._scored(resumed)

    def _write_chunks(self, work: ResumableScoring) -> None:
        start = self._table.start if work.end is None else work.end
        if work.end is None:
            work.append(self._table.head(), start, self._counts)
        with self._progress() as task:
            for chunk in self._table.chunks(start):
                work.append(self._answer(chunk, task), chunk.end, self._counts)

    def _answer(self, chunk: Chunk, task: Task) -> bytes:
        answers = answer(self._classifier, chunk)
        self._counts["rows"] += len(answers)
        for one in answers:
            if isinstance(one, str):
                self._counts[f"{UNSCORED}{one}"] += 1
                continue
            self._counts["scored"] += 1
            self._counts["truncated"] += one.truncated
            self._counts["abstained"] += one.abstained
            self._counts["unlabelled"] += not one.labels and not one.abstained
        task.note(f"{self._counts['rows']:,} rows")
        task.advance(max(0, self._place(chunk) - task.done))
        return self._table.dump(
            chunk, [values(self._columns, one, self._config.score.prefix) for one in answers]
        )

    def _progress(self) -> AbstractContextManager[Task]:
        """Progress in rows if their number is known, else in bytes of the packed file.

        For standard input it shows only the rows done.
        """
        name = f"score {self._source.path.name}"
        rows = self._table.rows
        if rows is not None or self._source.standard:
            return progress(name, rows)
        return progress(name, self._source.path.stat().st_size, "bytes")

    def _place(self, chunk: Chunk) -> int:
        if self._source.standard:
            return self._counts["rows"]
        return chunk.end if self._table.rows is not None else self._reading.position()

    def _identity(self, target: Target) -> dict[str, Any]:
        return {
            "linnet": version("linnet-text"),
            "bundle": self._classifier.digest,
            "file": "" if self._source.standard else self._source.digest(),
            "format": self._source.format,
            "compression": target.compression,
            "score": self._config.score.model_dump(mode="json"),
            "plan": asdict(self._classifier.plan),
        }

    def _stat(self) -> tuple[int, int]:
        found = self._source.path.stat()
        return found.st_size, found.st_mtime_ns

    def _scored(self, resumed: int) -> Scored:
        counts = self._counts
        reasons = {
            name.removeprefix(UNSCORED): n
            for name, n in counts.most_common()
            if name.startswith(UNSCORED)
        }
        named = ("rows", "scored", "truncated", "abstained", "unlabelled")
        return Scored(
            **{name: counts[name] for name in named},
            reasons=reasons,
            resumed=resumed,
            notes=self._table.notes,
        )


def _send(to: IO[bytes], data: bytes) -> None:
    with disk_errors(Path("the standard output")):
        to.write(data)
        to.flush()


def answer(classifier: Classifier, chunk: Chunk) -> list[Answer]:
    """Predict each row of a chunk, in order; a reason replaces a missing prediction."""
    answers: list[Answer] = [
        reason or ("missing_text" if text is None else "")
        for text, reason in zip(chunk.texts, chunk.reasons, strict=True)
    ]
    places = [place for place, reason in enumerate(answers) if not reason]
    outcomes = classifier.predict_each([chunk.texts[place] for place in places])
    for place, outcome in zip(places, outcomes, strict=True):
        answers[place] = outcome.reason if isinstance(outcome, TextError) else outcome
    return answers
