"""The results of a study: study.json, best.toml, study.html, each whole or not at all.

best.toml appears with the first complete trial. The result says what the study can't know: how much
of what it found is luck.
"""

import math
import time
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from linnet.config import Config
from linnet.files import canonical_json, write_text
from linnet.html import render
from linnet.lineage import lineage
from linnet.train.training_data import TrainingData
from linnet.train.tune import plots
from linnet.train.tune.space import search_space, with_parameters
from linnet.train.tune.study import REASON, SECONDS, Study

FORMAT = 1
PAGE_SECONDS = 30.0  # between two drawings of study.html
STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}


class Results:
    """The files that hold the state of a study.

    Drawing study.html takes a second or two, which holds up trials and other processes: it is drawn
    at first, then at most every half a minute, and when this is closed.

    Args:
        study: The study.
        config: The settings that it was asked for with.
        material: What its trials learn from.
    """

    def __init__(self, study: Study, config: Config, data: TrainingData):
        self._study = study
        self._config = config
        self._material = data
        self._drawn = -math.inf
        self._stale = False

    def write(self) -> dict[str, Any]:
        """Write the results so far, and remove what finished trials left; give study.json.

        Raises:
            StorageError: The disk refused.
        """
        folder: Path = self._study.directory
        with self._study.alone():  # or a slower process would put an older state over a newer one
            self._study.tidy()
            results = _results(self._study, self._config, self._material)
            write_text(folder / "study.json", canonical_json(results))
            if results["best"]:
                with_parameters(self._config, results["best"]["parameters"]).save(
                    folder / "best.toml"
                )
            self._stale = time.monotonic() - self._drawn < PAGE_SECONDS
            if not self._stale:
                write_text(folder / "study.html", study_page(results))
                self._drawn = time.monotonic()
        return results

    def close(self) -> None:
        """Draw what was not drawn yet.

        Raises:
            StorageError: The disk refused.
        """
        if self._stale:
            self._drawn = -math.inf
            self.write()


def _results(study: Study, config: Config, data: TrainingData) -> dict[str, Any]:
    trials = [_describe(trial) for trial in study.trials]
    complete = [trial for trial in trials if trial["state"] == "complete"]
    sign = -1.0 if study.direction == "minimize" else 1.0
    best = max(complete, key=lambda trial: sign * trial["value"]) if complete else None
    default = trials[0]["value"] if trials[0]["state"] == "complete" else None
    results = {
        "format": FORMAT,
        "metric": config.train.metric_for_best_model,
        "direction": study.direction,
        "n_trials": config.tune.n_trials,
        "states": {
            state: sum(trial["state"] == state for trial in trials) for state in STATES.values()
        },
        "rows": {"train": len(data.train), "validation": len(data.validation)},
        "encoder": config.model.name_or_path,
        "default": default,
        "best": best and {key: best[key] for key in ("number", "value", "parameters")},
        "gain": None if best is None or default is None else sign * (best["value"] - default),
        "importance": study.importance,
        "trials": trials,
        "searched": {name: list(getattr(config.tune, name)) for name in search_space(config.tune)},
        "settings": config.model_dump(mode="json"),
        "lineage": lineage(),
    }
    return results | {"notes": _notes(results)}


def _describe(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": STATES[trial.state],
        "parameters": trial.params,
        "value": trial.value,
        "epochs": [trial.intermediate_values[epoch] for epoch in sorted(trial.intermediate_values)],
        "seconds": trial.user_attrs.get(SECONDS),
        "reason": trial.user_attrs.get(REASON),
    }


def _notes(results: dict[str, Any]) -> list[str]:
    best = results["best"]
    states = results["states"]
    rows = results["rows"]["validation"]
    if best is None:
        return ["No trial is complete, so nothing can be said yet."]
    metric = results["metric"]
    judged = states["complete"] + states["pruned"]
    if results["gain"] is None:
        first = (
            "The recipe as it is, trial 0, did not come to its end, so there is nothing to "
            "compare with."
        )
    elif best["number"] == 0:
        first = (
            f"No trial was better than the recipe as it is: {shown(results['default'], metric)} "
            f"{metric}."
        )
    else:
        gain = (
            f"{100 * results['gain']:.2f} points"
            if metric != "eval_loss"
            else f"{results['gain']:.4f}"
        )
        first = (
            f"Trial {best['number']} is better than the recipe as it is by {gain}: "
            f"{shown(best['value'], metric)} against {shown(results['default'], metric)} {metric}."
        )
    luck = (
        f"It is the best of {judged} that were judged on the same {rows:,} validation rows, so "
        "part of it is luck and other rows will show less."
    )
    if metric == "eval_accuracy":
        error = math.sqrt(best["value"] * (1 - best["value"]) / rows)
        luck += f" One standard error of an accuracy on so many rows is {100 * error:.2f} points."
    untouched = (
        "No trial was judged on the test split: train with best.toml and judge that with `linnet "
        "evaluate`."
    )
    return [first, untouched] if best["number"] == 0 else [first, luck, untouched]


def shown(value: float, metric: str) -> str:
    """A value of a metric, for people."""
    return f"{value:.4f}" if metric == "eval_loss" else f"{100 * value:.2f} %"


def study_page(results: dict[str, Any]) -> str:
    """study.html, from what study.json holds."""
    return render("study.html", study=results, figures=_figures(results))


def _figures(results: dict[str, Any]) -> dict[str, Any]:
    judged = [trial for trial in results["trials"] if trial["value"] is not None]
    if not judged:
        return {}
    metric = results["metric"]
    names = results["searched"]
    figures: dict[str, Any] = {
        "history": plots.history(judged, results["default"], results["direction"], metric)
    }
    figures["parameters"] = {name: plots.parameter(judged, name, metric) for name in names}
    figures["importance"] = (
        plots.importance(results["importance"]) if results["importance"] else None
    )
    return figures
