"""A finished run as a tracking store keeps it: settings, curves, figures, data, files.

Reads files only. Knows nothing of MLflow.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linnet.bundle import Bundle
from linnet.errors import DataError, UsageError

REPORT = "report.json"
CARD = "data_card.json"
SPLITS = ("train", "validation", "test")
VALUE_CHARACTERS = 500  # of a parameter; some servers refuse longer ones
FIGURES = ("accuracy", "macro_f1", "micro_f1", "log_loss", "subset_accuracy")
# Files that are kept with a run, if they are there: of the run's folder, else of its parent.
KEPT = (
    "linnet.toml",
    "dvc.lock",
    "requirements.txt",
    "splits/data_card.json",
    "splits/data_card.html",
    "checkpoint/training.json",
    "checkpoint/training.html",
)


@dataclass(frozen=True)
class FinishedRun:
    """A bundle that was judged, with what led to it.

    Attributes:
        folder: The run's folder.
        bundle: The verified bundle.
        report: report.json.
        report_folder: Where it was read.
    """

    folder: Path
    bundle: Bundle
    report: Mapping[str, Any]
    report_folder: Path

    @classmethod
    def read(
        cls, folder: Path, bundle: Path | None = None, report: Path | None = None
    ) -> "FinishedRun":
        """Read a run's folder and verify its bundle.

        Args:
            folder: What `linnet run` wrote, or a folder with bundle/ and report/ in it.
            bundle: The bundle, where it is elsewhere.
            report: The report's folder, where it is elsewhere.

        Raises:
            BundleError: The bundle is missing or broken.
            DataError: The report can't be read.
            UsageError: There is no report, or it judges another bundle.
        """
        verified = Bundle.read(bundle or folder / "bundle").verify()
        report_folder = report or folder / "report"
        content = read_json(report_folder / REPORT)
        judged = (content.get("model") or {}).get("digest")
        if judged != verified.digest:
            raise UsageError(
                f"{report_folder / REPORT} judges another bundle ({str(judged)[:12]}) than "
                f"{verified.path} ({verified.digest[:12]}). Evaluate this one again."
            )
        return cls(folder, verified, content, report_folder)

    @property
    def beats_baseline(self) -> bool:
        """Whether the report shows it to be better than the best baseline."""
        return self.report.get("beats_baseline") is True

    def parameters(self) -> dict[str, str]:
        """Settings by `section.key`, as text."""
        settings = self.bundle.manifest.lineage.get("settings") or self.report["settings"]
        return {
            f"{section}.{key}": _as_text(value)
            for section, values in settings.items()
            for key, value in values.items()
        }

    def metrics(self) -> Iterator[tuple[str, float, int]]:
        """Name, value and step: the curve by epoch, then the figures of the report, at step 0."""
        for epoch in self.report.get("history") or []:
            for name, value in epoch.items():
                if name != "epoch" and isinstance(value, int | float):
                    yield name, float(value), int(epoch["epoch"])
        split = self.report["split"]
        for name in FIGURES:
            for part, value in (self.report.get(name) or {}).items():
                yield f"{split}.{name}.{part}", float(value), 0
        error = (self.report.get("calibration") or {}).get("expected_calibration_error")
        if error is not None:
            yield f"{split}.expected_calibration_error", float(error), 0
        for name in ("median_ms", "p95_ms", "texts_per_second"):
            yield f"latency.{name}", float(self.report["latency"][name]), 0
        for baseline in self.report["baselines"]:
            for name in ("accuracy", "micro_f1"):
                if name in baseline:
                    yield f"baseline.{baseline['name']}.{name}", float(baseline[name]["value"]), 0

    def datasets(self) -> Iterator[tuple[str, str, str]]:
        """Name of each split, its SHA-256, and the source of the data."""
        data = self.bundle.manifest.lineage.get("data") or {}
        source = json.dumps(data.get("source") or {}, sort_keys=True)
        for name in SPLITS:
            sha256 = (data.get("splits") or {}).get(f"{name}.parquet")
            if sha256:
                yield name, sha256, source

    def tags(self) -> dict[str, str]:
        """What the run is found by."""
        git = (self.bundle.manifest.lineage.get("training") or {}).get("git") or {}
        tags = {
            "linnet.digest": self.bundle.digest,
            "linnet.format": str(self.bundle.manifest.format),
            "linnet.beats_baseline": str(self.beats_baseline).lower(),
            "linnet.verdict": str(self.report.get("verdict", "")),
        }
        if git:
            tags |= {
                "mlflow.source.git.commit": str(git.get("commit")),
                "mlflow.source.git.branch": str(git.get("branch")),
                "linnet.git.dirty": str(git.get("dirty")).lower(),
            }
        return tags

    def files(self) -> Iterator[tuple[Path, str]]:
        """Files to keep with the run, each with the folder that it goes to."""
        for path in sorted(self.report_folder.iterdir()):
            if path.is_file():
                yield path, "report"
        for name in KEPT:
            kept = next(
                (
                    base / name
                    for base in (self.folder, self.folder.parent)
                    if (base / name).is_file()
                ),
                None,
            )
            if kept is not None:
                yield kept, str(Path(name).parent) if "/" in name else ""


def read_json(path: Path) -> dict[str, Any]:
    """A file that holds a JSON object.

    Raises:
        UsageError: There is none.
        DataError: It holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"Expected {path}; there is none. Run `linnet evaluate` first.") from None
    except (ValueError, OSError) as error:
        raise DataError(f"{path} can't be read: {error}. Run `linnet evaluate` again.") from None
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no JSON object. Run `linnet evaluate` again.")
    return content


def _as_text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_CHARACTERS else text[: VALUE_CHARACTERS - 1] + "\u2026"
