"""Measures which engine, variant, threads, sessions and batch size are fastest on this host.

Not every combination is tried. First the engines and variants that the bundle has proof of, then
for the best of them how the cores are shared, then how large a batch is: each time the plans take
turns, round after round, and the best median wins. What is computed are rows of token ids as long
as the validation texts, of tokens by chance, for the bundle holds no texts; tokenising them, which
costs the same under every plan, is left out.

Before any of that, each variant must answer here as it did when it was proven. Integer products
overflow on some processors, and what the gate measured elsewhere doesn't hold for those.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from linnet.bundle import DEFAULT_ENGINE, FLOAT32, Bundle
from linnet.errors import BundleError, OutOfMemoryError
from linnet.predict.batching import padding_share
from linnet.predict.engine import installed
from linnet.predict.host import available_cores, this_host
from linnet.predict.peak import Peak, measure_peak
from linnet.predict.plan import Plan, record
from linnet.predict.runner import Runner
from linnet.predict.synthetic import FINGERPRINT_ROWS, synthetic_rows
from linnet.progress import Task, progress
from linnet.text import Tokenizer

Goal = Literal["throughput", "latency"]

TEXTS = {"throughput": 256, "latency": 24}  # of one round
BATCH_TOKENS = (128, 256, 512, 1024, 2048, 4096)
FEWEST_ROUNDS = 3
MOST_ROUNDS = 15
FINALISTS = 2


@dataclass
class Timing:
    """How fast a plan was.

    Attributes:
        plan: The plan.
        seconds: Of each round.
        texts: In a round.
    """

    plan: Plan
    texts: int
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Seconds of the median round."""
        return statistics.median(self.seconds)

    def described(self) -> dict[str, Any]:
        """The plan's fields, `texts_per_second`, `ms_a_text` and `rounds`."""
        speed = self.texts / self.median
        return asdict(self.plan) | {
            "texts_per_second": speed,
            "ms_a_text": 1000 / speed,
            "rounds": len(self.seconds),
        }


def optimize(path: Path, goal: Goal = "throughput", budget: float = 60.0) -> dict[str, Any]:
    """Find the fastest plan on this host and write it into the bundle's host.json.

    Args:
        path: A bundle.
        goal: "throughput": a list of texts, in batches; "latency": one text at a time.
        budget: Seconds to measure for; three rounds of each plan are made in any case.

    Returns:
        What host.json says of this host: `host`, `measured`, `goal`, `plan`, `speedup` (over
        float32 in ONNX Runtime with its defaults, in the same rounds), `padding` (share of the
        tokens), `table` (each plan and its speed), `left_out` (variant, engine, reason), and
        `memory` (of a worker, where that can be measured).

    Raises:
        BundleError: The bundle is broken.
        StorageError: host.json can't be written.
    """
    bundle = Bundle.read(path).verify()
    search = Search(bundle, goal, budget)
    with progress("measure", None, "rounds") as task:
        best, default = search.run(task)
    lengths = [len(row) for row in search.rows]
    measured: dict[str, Any] = {
        "goal": goal,
        "speedup": default.median / best.median,
        "padding": padding_share(lengths, best.plan.max_batch_tokens)
        if goal == "throughput"
        else 0.0,
        "table": [timing.described() for timing in search.timings],
        "left_out": search.left_out,
    }
    if peak := search.peak(best.plan):
        measured["memory"] = asdict(peak)
    return record(bundle, best.plan, measured, this_host())


class Search:
    """The search itself.

    Args:
        bundle: Verified.
        goal: As for `optimize`.
        budget: As for `optimize`.

    Attributes:
        rows: Token ids of one round.
        timings: All that was measured, stage by stage.
        left_out: What the bundle has proof of and can't be used here, with the reason.
    """

    def __init__(self, bundle: Bundle, goal: Goal, budget: float):
        self._bundle = bundle
        self._goal = goal
        self._budget = budget
        self._tokenizer = Tokenizer(bundle.tokenizer_path, bundle.manifest.max_length)
        self.rows = self._synthetic(TEXTS[goal])
        self.timings: list[Timing] = []
        self.left_out: list[dict[str, str]] = []

    def run(self, task: Task) -> tuple[Timing, Timing]:
        """Search; give the best plan's timing and that of the default, of the same rounds."""
        cores = available_cores()
        alone = self._goal == "latency"
        whole = Plan(num_threads=cores)
        split = Plan(num_threads=1, num_sessions=cores)
        base = whole if alone or cores == 1 else split
        plans = [
            replace(base, engine=engine, variant=variant) for variant, engine in self._usable()
        ]
        best = self._fastest(plans, 0.4, task)[:FINALISTS]
        shared = [
            replace(timing.plan, num_threads=threads, num_sessions=sessions)
            for timing in best
            for threads, sessions in _layouts(cores, alone)
        ]
        winner = self._fastest(shared, 0.3, task)[0].plan
        if not alone:
            sizes = [replace(winner, max_batch_tokens=tokens) for tokens in BATCH_TOKENS]
            winner = self._fastest(sizes, 0.2, task)[0].plan
        final = self._fastest(list(dict.fromkeys([winner, whole])), 0.1, task)
        return final[0], next(timing for timing in final if timing.plan == whole)

    def peak(self, plan: Plan) -> Peak | None:
        """The memory that a worker of one session takes under a plan."""
        manifest = self._bundle.manifest
        one = replace(plan, num_sessions=1)
        graphs = [(self._bundle.model_path(plan.variant, plan.engine), one)]
        if manifest.cascade:
            fast = replace(one, engine=DEFAULT_ENGINE, variant=FLOAT32)
            graphs.append((self._bundle.path / manifest.cascade.model, fast))
        return measure_peak(graphs, manifest.max_length, self._tokenizer.pad_id)

    def _synthetic(self, count: int) -> list[list[int]]:
        counts = self._bundle.reference["token_length"]["counts"]
        return synthetic_rows(counts, self._tokenizer.vocab_size, count)

    def _open(self, plan: Plan) -> Runner:
        path = self._bundle.model_path(plan.variant, plan.engine)
        return Runner(path, plan, self._tokenizer.pad_id, self._tokenizer.vocab_size - 1)

    def _usable(self) -> Iterator[tuple[str, str]]:
        """Variants and engines that are proven, installed, and answer here as in their proof."""
        witnesses = self._synthetic(FINGERPRINT_ROWS)
        for variant, engines in self._bundle.manifest.engines.items():
            for engine in engines:
                try:
                    if not installed(engine):
                        raise BundleError(f"{engine} is not installed here")
                    self._check_witnesses(variant, engine, witnesses)
                except (BundleError, OutOfMemoryError) as error:
                    if (variant, engine) == (FLOAT32, "onnxruntime"):
                        raise
                    self.left_out.append(
                        {"variant": variant, "engine": engine, "reason": str(error)}
                    )
                else:
                    yield variant, engine

    def _check_witnesses(self, variant: str, engine: str, rows: Sequence[Sequence[int]]) -> None:
        entries = self._bundle.proof.get("variants", [])
        entry = next(
            (one for one in entries if (one["variant"], one["engine"]) == (variant, engine)), None
        )
        logits = self._open(Plan(engine, variant)).logits(rows)
        if entry is None:  # a bundle of an older format, which knows float32 alone
            return
        apart = float(np.abs(logits - np.array(entry["witness"])).max())
        if not apart <= entry["witness_tolerance"]:
            raise BundleError(
                f"its logits are {apart:.2g} from those that it was proven with (allowed: "
                f"{entry['witness_tolerance']:.2g}): this processor computes it in another way"
            )

    def _fastest(self, plans: Sequence[Plan], share: float, task: Task) -> list[Timing]:
        """Time plans in turns for a share of the budget; the fastest first."""
        timings = [Timing(plan, len(self.rows)) for plan in plans]
        ends = time.perf_counter() + share * self._budget
        works = [self._work(plan) for plan in plans]
        for work in works:
            work()  # memory and code are laid out by the first
        for done in range(MOST_ROUNDS):
            if done >= FEWEST_ROUNDS and time.perf_counter() > ends:
                break
            for timing, work in zip(timings, works, strict=True):
                started = time.perf_counter()
                work()
                timing.seconds.append(time.perf_counter() - started)
                task.advance()
        self.timings += timings
        return sorted(timings, key=lambda timing: timing.median)

    def _work(self, plan: Plan) -> Callable[[], None]:
        runner = self._open(plan)
        rows = self.rows
        lists = [rows] if self._goal == "throughput" else [[row] for row in rows]

        def work() -> None:
            for part in lists:
                runner.logits(part)

        return work


def _layouts(cores: int, alone: bool) -> list[tuple[int, int]]:
    """Threads and sessions to try: from all cores for one batch to a core for each of several."""
    threads = [1 << power for power in range(cores.bit_length()) if 1 << power < cores] + [cores]
    return [(count, 1 if alone else cores // count) for count in threads]
