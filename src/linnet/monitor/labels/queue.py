"""Write a queue: choose its rows, note them, write the file, note that it is there.

A command that was killed leaves a noted batch. The next one writes that batch, and nothing else.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from linnet.errors import UsageError
from linnet.files import locked, write_text
from linnet.monitor.labels.choose import Candidates, Choice, Wish
from linnet.monitor.labels.ledger import SOURCE_OF, Asked, Ledger
from linnet.monitor.labels.task_files import FORMATS, Task
from linnet.monitor.labels.view import LogView, read_view, texts_of
from linnet.monitor.prediction_log import Store

LOCK = ".queue.lock"


@dataclass(frozen=True)
class Queued:
    """What was written.

    Attributes:
        rows: How many rows were written for each reason.
        resumed: Whether they are those of a command that was killed.
        lost: Rows of such a command whose text the log has forgotten since.
        audit_met: Whether the audit needs no more rows.
        labels: All labels of the log.
        several: Whether a text may have several labels.
    """

    rows: dict[str, int]
    resumed: bool
    lost: int
    audit_met: bool
    labels: tuple[str, ...]
    several: bool


def write_queue(store: Store, folder: Path, out: Path, format: str, wish: Wish) -> Queued:
    """Write the rows that are worth a label.

    Args:
        store: The log.
        folder: The monitor's folder, which keeps the list of queued rows.
        out: The file.
        format: A key of `FORMATS`.
        wish: What is asked for.

    Raises:
        UsageError: The log holds no texts, or the file exists and holds something else.
        StorageError: A disk or database refused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK):
        ledger = Ledger.read(folder)
        view = read_view(store)
        _check_texts(view, store)
        resumed = ledger.unfinished > 0
        met = False
        if resumed:
            choices = _of_batch(ledger, view)
            texts = texts_of(store, [int(view.number[choice.place]) for choice in choices])
        else:
            candidates = Candidates(view, ledger.rows, wish)
            met = candidates.wanted_audit == 0
            texts = texts_of(store, candidates.numbers)
            choices = candidates.choose(texts)
        tasks = [
            _task(view, choice, texts[number])
            for choice in choices
            if (number := int(view.number[choice.place])) in texts
        ]
        lost = len(ledger.open_batch()) - len(tasks) if resumed else 0
        if tasks:
            content = FORMATS[format](tasks)
            _check_out(out, content)
            if not resumed:
                _note(ledger, choices)
            write_text(out, content, private=True)
        if ledger.unfinished:
            ledger.unfinished = 0
            ledger.write()
    return Queued(
        rows=dict(Counter(task.reason for task in tasks)),
        resumed=resumed,
        lost=lost,
        audit_met=met,
        labels=view.known_labels(),
        several=view.is_multi_label(),
    )


def _check_texts(view: LogView, store: Store) -> None:
    if len(view) and not view.has_text.any():
        raise UsageError(
            f"The prediction log {store.name} holds no texts, so nobody can label them. "
            'Set prediction_log.texts to true, or to "audit" for the rows of the audit alone, '
            "and start the service again."
        )


def _check_out(out: Path, content: str) -> None:
    """Refuse to write over a file that people may be working on."""
    try:
        same = not out.exists() or out.read_bytes() == content.encode()
    except OSError:
        same = False
    if not same:
        raise UsageError(
            f"{out} exists, and somebody may be labelling it. "
            "Read the answers back first, or name another file with `linnet queue --out`."
        )


def _of_batch(ledger: Ledger, view: LogView) -> list[Choice]:
    """The rows of the batch that is not finished, as they were chosen."""
    returned = {view.id[place]: int(place) for place in view.returned}
    return [
        Choice(name, returned[name], row.reason, row.inclusion)
        for name, row in ledger.open_batch().items()
        if name in returned
    ]


def _note(ledger: Ledger, choices: list[Choice]) -> None:
    batch = ledger.next_batch()
    for position, choice in enumerate(choices):
        before = ledger.rows.get(choice.id)
        ledger.rows[choice.id] = Asked(
            reason=choice.reason,
            inclusion=choice.inclusion,
            batch=batch,
            position=position,
            votes=before.votes if before else {},
        )
    ledger.unfinished = batch
    ledger.write()


def _task(view: LogView, choice: Choice, text: str) -> Task:
    place = choice.place
    blind = SOURCE_OF[choice.reason] != "queue"
    return Task(
        id=choice.id,
        text=text,
        reason=choice.reason,
        inclusion=choice.inclusion,
        suggestion=None if blind else view.answer(place),
        probability=round(float(view.probability[place]), 6),
        model=view.digest[place],
    )
