"""The champion's alias moves to a candidate that passes the gate, or stays where it is."""

import itertools
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from linnet.bundle import Bundle, Manifest
from linnet.config import Config, PromoteConfig
from linnet.data import Split, read_split
from linnet.errors import LabelError, RefusedError, UsageError
from linnet.evaluate.latency import measure_alone
from linnet.files import canonical_json, digest
from linnet.lineage import lineage
from linnet.predict import Classifier, load
from linnet.track import gate
from linnet.track.fetch import CHAMPION, GATE, load_version
from linnet.track.gate import Answers, Limits, Line, Rows
from linnet.track.held_out import held_out_alike
from linnet.track.registry import Registry, Version
from linnet.track.store import Store

BEST = "best"
PREVIOUS = "previous"
BEATS_BASELINE = "linnet.beats_baseline"
JUDGED = "linnet.judged."  # then the digest of a test split: the bundles that it judged
TEST = "test.parquet"
ROUNDS = 5  # of measuring latency in turns


@dataclass(frozen=True)
class Promotion:
    """The result of a promotion.

    Attributes:
        name: The registered model.
        candidate: The version that was judged.
        champion: The version that was champion before; None if there was none.
        lines: The gate, in order.
        moved: Whether the alias moved.
        reason: Why it did not, or the reason of a forced move.
    """

    name: str
    candidate: Version
    champion: Version | None
    lines: tuple[Line, ...]
    moved: bool
    reason: str

    @property
    def refusal(self) -> Line | None:
        """The first line that does not hold."""
        return gate.first_failure(self.lines)

    def to_json(self) -> dict[str, Any]:
        """The record of the promotion, for promotion.json and the tag of the version."""
        return {
            "format": 1,
            "name": self.name,
            "version": self.candidate.number,
            "digest": self.candidate.digest,
            "champion": self.champion.digest if self.champion else None,
            "lines": [asdict(line) for line in self.lines],
            "passed": self.refusal is None,
            "moved": self.moved,
            "reason": self.reason,
        }

    def to_markdown(self) -> str:
        """The gate as a table, for a pull request or a job's summary."""
        rows = [
            f"| {line.name.replace('_', ' ')} | {'passed' if line.passed else 'failed'} | "
            f"{line.sentence.replace('|', chr(92) + '|')} |"
            for line in self.lines
        ]
        verdict = "Promoted." if self.moved else f"Not promoted. {self.reason}"
        table = ["| condition | | measured |", "|---|---|---|", *rows]
        return "\n".join(
            [f"### {self.name}, version {self.candidate.number}", "", verdict, "", *table, ""]
        )


def promote(
    config: Config, name: str, splits: Path, alias: str = "challenger", dry_run: bool = False
) -> Promotion:
    """Judge the candidate, and move the champion's alias to it if every line of the gate holds.

    The candidate, the champion and the best version yet answer the same test rows now.

    Args:
        config: `[track]`, `[promote]` and `[predict]` are used.
        name: The registered model.
        splits: The candidate's splits, whose test rows are judged.
        alias: The candidate's.
        dry_run: Judge, and move nothing.

    Raises:
        BundleError: A bundle of the store was changed.
        DataError: The test split can't be read.
        RefusedError: Another promotion moved the alias meanwhile.
        ServiceError: The store can't be reached.
        UsageError: There is no candidate.
    """
    store = Store(config.track)
    registry = Registry(store, name)
    candidate = _required(registry, alias)
    champion = registry.by_alias(CHAMPION)
    best = registry.by_alias(BEST)
    if champion is not None and champion.digest == candidate.digest:
        reason = f"Version {candidate.number} is champion already."
        return Promotion(name, candidate, champion, (), False, reason)
    with tempfile.TemporaryDirectory(prefix="linnet-promote-") as folder:
        bundles = {
            version.digest: load_version(store, version, Path(folder, version.digest[:16]))
            for version in (candidate, champion, best)
            if version is not None
        }
        if champion is not None and _same_graphs(
            bundles[candidate.digest], bundles[champion.digest]
        ):
            reason = "The champion has the same graphs; only dates differ."
            return Promotion(name, candidate, champion, (), False, reason)
        contest = Contest.open(config, registry, splits, candidate, champion, best, bundles)
        lines = tuple(contest.lines())
        is_best = contest.is_best
    judged = Promotion(name, candidate, champion, lines, False, "")
    failed = judged.refusal
    if failed is not None:
        return replace(judged, reason=f"{failed.name.replace('_', ' ')}: {failed.sentence}")
    if dry_run:
        return replace(judged, reason="Every line holds; nothing was moved (--dry-run).")
    return _move(registry, replace(judged, moved=True), is_best or best is None)


@dataclass
class Contest:
    """The candidate, the champion and the best yet, on the same rows.

    Attributes:
        is_best: Whether the candidate was shown better than the best yet; known after `lines`.
    """

    config: Config
    splits: Path
    candidate: Version
    champion: Version | None
    best: Version | None
    bundles: Mapping[str, Bundle]
    split: Split
    rows: Rows
    is_best: bool = False

    @classmethod
    def open(
        cls,
        config: Config,
        registry: Registry,
        splits: Path,
        candidate: Version,
        champion: Version | None,
        best: Version | None,
        bundles: Mapping[str, Bundle],
    ) -> "Contest":
        """Read the rows, and count this bundle among those that they have judged."""
        manifest = bundles[candidate.digest].manifest
        split = read_split(splits, "test")
        if tuple(split.label_names) != tuple(manifest.labels):
            raise LabelError(
                f"The labels of {splits} are not those of the candidate. Name its own splits with "
                "--splits."
            )
        judgement = _count_judgement(registry, digest(splits / TEST), candidate.digest)
        truth = split.labels
        if not split.multi_label:
            truth = np.arange(len(manifest.labels)) == np.asarray(split.labels)[:, None]
        rows = Rows(np.asarray(truth, bool), manifest.labels, split.multi_label, judgement)
        return cls(config, splits, candidate, champion, best, bundles, split, rows)

    def lines(self) -> Iterator[Line]:
        """Every line of the gate, in order; what can't be judged after a failure is left out."""
        settings = self.config.promote
        yield Line("verified", True, "digests and proof of each bundle were checked.")
        yield self._committed()
        for check in (self._same_task(), held_out_alike(self.splits, self._opponents())):
            yield check
            if not check.passed:
                return
        limits = _limits(settings)
        if self.champion is not None:
            enough = gate.enough_rows(self.rows, limits)
            yield enough
            if not enough.passed:
                return
        yield self._beats_baseline()
        yield from self._compared(limits)
        yield gate.not_worn_out(self.rows, limits)

    def _compared(self, limits: Limits) -> Iterator[Line]:
        models = {
            sha256: load(bundle.path, **self.config.predict.model_dump())
            for sha256, bundle in self.bundles.items()
        }
        answers = {sha256: _answers(model, self.split) for sha256, model in models.items()}
        before = answers[self.champion.digest] if self.champion else None
        best = answers[self.best.digest] if self.best else None
        mine = answers[self.candidate.digest]
        for line, drop in gate.judged_lines(mine, before, best, self.rows, limits):
            if line.name == BEST:
                self.is_best = drop is not None and drop < 0
            yield line
        if self.champion is not None:
            texts = self.split.texts[:50]
            yield gate.fast_enough(
                *_in_turns(models[self.champion.digest], models[self.candidate.digest], texts),
                limits,
            )

    def _opponents(self) -> dict[str, Manifest]:
        found = {"champion": self.champion, "best yet": self.best}
        return {
            title: self.bundles[version.digest].manifest
            for title, version in found.items()
            if version is not None
        }

    def _committed(self) -> Line:
        manifest = self.bundles[self.candidate.digest].manifest
        git = (manifest.lineage.get("training") or {}).get("git") or {}
        if git.get("dirty") and not self.config.promote.allow_dirty:
            return Line(
                "committed",
                False,
                "the git tree had changes that were not committed when this was trained. Commit "
                "and train again, or set promote.allow_dirty.",
            )
        return Line("committed", True, f"trained from commit {str(git.get('commit'))[:12]}.")

    def _same_task(self) -> Line:
        mine = self.bundles[self.candidate.digest].manifest
        for title, other in self._opponents().items():
            for what in ("labels", "problem_type", "mask", "min_precision"):
                if getattr(mine, what) != getattr(other, what):
                    return Line(
                        "same_task",
                        False,
                        f"{what} is {getattr(mine, what)!r:.100}, and of the {title} "
                        f"{getattr(other, what)!r:.100}. Register it under another name.",
                    )
        return Line("same_task", True, "labels, masks and thresholds are of the same kind.")

    def _beats_baseline(self) -> Line:
        passed = self.candidate.tags.get(BEATS_BASELINE) == "true"
        verdict = self.candidate.tags.get("linnet.verdict", "")
        return Line("baseline", passed, verdict or "its report says nothing of a baseline.")


def roll_back(config: Config, name: str, reason: str) -> Version:
    """Move the champion's alias to the version that had it before.

    Raises:
        UsageError: There is no such version.
        ServiceError: The store can't be reached.
    """
    registry = Registry(Store(config.track), name)
    previous = _required(registry, PREVIOUS)
    champion = registry.by_alias(CHAMPION)
    record = {"reason": reason, "from": champion.digest if champion else None, **_where()}
    registry.tag(previous, "linnet.rollback", canonical_json(record))
    registry.set_alias(CHAMPION, previous)
    return previous


def _move(registry: Registry, promotion: Promotion, is_best: bool) -> Promotion:
    """Write the record, then move the aliases: a kill leaves the old champion or the new one."""
    candidate = promotion.candidate
    record = {**promotion.to_json(), **_where()}
    registry.tag(candidate, GATE, canonical_json(record))
    now = registry.by_alias(CHAMPION)
    before = promotion.champion
    if (now and now.number) != (before and before.number):
        raise RefusedError(
            f"Another promotion of {promotion.name!r} moved the alias meanwhile. Repeat the "
            "command: the candidate is then compared with the new champion."
        )
    if before is not None:
        registry.set_alias(PREVIOUS, before)
    registry.set_alias(CHAMPION, candidate)
    if is_best:
        registry.set_alias(BEST, candidate)
    return promotion


def _where() -> dict[str, Any]:
    facts = lineage()
    return {"created": facts["created"], "git": facts["git"], "packages": facts["packages"]}


def _required(registry: Registry, alias: str) -> Version:
    version = registry.by_alias(alias)
    if version is None:
        hint = "`linnet track` registers one" if alias != PREVIOUS else "nothing was promoted twice"
        raise UsageError(f"The model {registry.name!r} has no version {alias!r}: {hint}.")
    if not version.digest:
        raise UsageError(f"Version {version.number} of {registry.name!r} is no bundle of Linnet's.")
    return version


def _count_judgement(registry: Registry, split_sha256: str, candidate: str) -> int:
    """Which bundle, counted from 1, this is that the split judges; the same one counts once."""
    key = f"{JUDGED}{split_sha256[:16]}"
    known: list[str] = json.loads(registry.model_tag(key) or "[]")
    short = candidate[:16]
    if short not in known:
        known.append(short)
        registry.set_model_tag(key, json.dumps(known))
    return known.index(short) + 1


def _limits(settings: PromoteConfig) -> Limits:
    return Limits(
        settings.max_accuracy_drop / 100,
        settings.max_recall_drop / 100,
        settings.max_slowdown,
        settings.max_judgements,
        settings.rule == "better",
    )


def _answers(model: Classifier, split: Split) -> Answers:
    probabilities = model.predict_proba(split.texts)
    if split.multi_label:
        return Answers(np.asarray(model.decide(probabilities), bool), probabilities)
    likeliest = probabilities.argmax(axis=1)[:, None] == np.arange(probabilities.shape[1])
    return Answers(likeliest, probabilities)


def _in_turns(champion: Classifier, candidate: Classifier, texts: list[str]) -> tuple[float, float]:
    """Median milliseconds of a single answer of each, measured in turns."""
    milliseconds: tuple[list[float], list[float]] = ([], [])
    pairs = ((champion, milliseconds[0]), (candidate, milliseconds[1]))
    for model, found in itertools.chain.from_iterable(itertools.repeat(pairs, ROUNDS)):
        found.extend(measure_alone(model, texts))
    return float(np.median(milliseconds[0])), float(np.median(milliseconds[1]))


def _same_graphs(one: Bundle, other: Bundle) -> bool:
    """Whether two bundles differ in dates and measured times alone."""
    return _graphs(one) == _graphs(other)


def _graphs(bundle: Bundle) -> dict[str, str]:
    kept = (".onnx", ".data", "tokenizer.json", "fast.json")
    files = {name: one.sha256 for name, one in bundle.manifest.files.items() if name.endswith(kept)}
    fitted = (bundle.manifest.temperature, bundle.manifest.thresholds)
    return {**files, "fitted": repr(fitted)}
