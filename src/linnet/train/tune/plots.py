"""The figures of a study.

Each takes the trials of study.json that have a value and gives inline SVG.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from linnet.html import PALETTE, legend_above, plot, svg

FIRST = PALETTE[0]
SECOND = PALETTE[1]
GREY = PALETTE[5]
TICKS = 4  # of a logarithmic axis
COLOURS = {"complete": FIRST, "pruned": GREY}


def history(
    trials: Sequence[Mapping[str, Any]], default: float | None, direction: str, metric: str
) -> Markup:
    """Values by trial, the best so far, and what the recipe as it is came to."""
    figure, axes = plot(height=3.4)
    complete = [trial for trial in trials if trial["state"] == "complete"]
    _points(axes, trials, [trial["number"] for trial in trials], metric)
    if complete:
        best = list(
            itertools.accumulate(_values(complete, metric), min if direction == "minimize" else max)
        )
        until = [*(trial["number"] for trial in complete), trials[-1]["number"]]
        axes.step(until, [*best, best[-1]], where="post", color=FIRST, label="best so far")
    if default is not None:
        axes.axhline(
            _scaled(default, metric), color=SECOND, linestyle="--", label="the recipe as it is"
        )
    axes.locator_params(axis="x", integer=True)
    axes.set_xlabel("trial")
    legend_above(axes, columns=2)
    return svg(figure, f"{metric} of each trial, and the best so far")


def parameter(trials: Sequence[Mapping[str, Any]], name: str, metric: str) -> Markup:
    """Values by one parameter."""
    figure, axes = plot(height=3.0)
    values = [trial["parameters"][name] for trial in trials]
    _points(axes, trials, values, metric)
    if name == "learning_rate":
        axes.set_xscale("log")
        axes.minorticks_off()
        ticks = np.geomspace(min(values), max(values), TICKS)
        axes.set_xticks(ticks, [f"{tick:.1e}" for tick in ticks])
    elif isinstance(values[0], int):
        axes.set_xticks(sorted(set(values)))
    axes.set_xlabel(name)
    return svg(figure, f"{metric} by {name}")


def importance(shares: Mapping[str, float]) -> Markup:
    """The share of the values' variance that each parameter explains."""
    figure, axes = plot(height=0.8 + 0.35 * len(shares))
    axes.barh(list(shares), [100 * share for share in shares.values()], color=FIRST, height=0.6)
    axes.invert_yaxis()
    axes.set_xlabel("share of the variance between trials, %")
    return svg(figure, "How much of the variance between trials each parameter explains")


def _points(
    axes: Any, trials: Sequence[Mapping[str, Any]], places: Sequence[float], metric: str
) -> None:
    for state, colour in COLOURS.items():
        some = [
            (place, trial)
            for place, trial in zip(places, trials, strict=True)
            if trial["state"] == state
        ]
        if some:
            values = _values([trial for _, trial in some], metric)
            axes.plot(
                [place for place, _ in some], values, "o", color=colour, label=state, markersize=5
            )
    axes.set_ylabel(metric if metric == "eval_loss" else f"{metric}, %")


def _values(trials: Sequence[Mapping[str, Any]], metric: str) -> list[float]:
    return [_scaled(trial["value"], metric) for trial in trials]


def _scaled(value: float, metric: str) -> float:
    return value if metric == "eval_loss" else 100 * value
