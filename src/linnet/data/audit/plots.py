"""The audit's figures, drawn only from the values in data_card.json."""

from typing import Any

import numpy as np
from markupsafe import Markup

from linnet.data.audit.tokens import BINS
from linnet.html import PALETTE, legend_above, plain, plot, svg

MOST_LABELS = len(PALETTE)
LEGEND = 20  # characters of a label in a legend; two labels fit into one row


def plot_tokens(tokens: dict[str, Any]) -> Markup:
    """Plot the number of tokens of the texts of each split; empty if they were not counted."""
    if not tokens["splits"]:
        return Markup("")
    figure, axes = plot()
    edges = np.arange(BINS + 1) * tokens["width"]
    for color, (name, found) in zip(PALETTE, tokens["splits"].items(), strict=False):
        axes.stairs(100 * np.array(found["histogram"]), edges, color=color, label=name)
    if tokens["max_length"] <= edges[-1]:
        axes.axvline(tokens["max_length"], color="black", linestyle=":", linewidth=1)
        axes.annotate(
            "cut here ",
            (tokens["max_length"], 1),
            xycoords=("data", "axes fraction"),
            va="top",
            ha="right",
        )
    axes.set_xlabel("tokens of a text")
    axes.set_ylabel("percent of the sampled texts")
    legend_above(axes)
    return svg(figure, "How many tokens the texts of each split have")


def plot_words(words: dict[str, Any], labels: list[str]) -> Markup:
    """Plot the most predictive tokens, coloured by label; empty if none is frequent enough."""
    top = words["top"]
    if not top:
        return Markup("")
    figure, axes = plot(height=1.2 + 0.2 * len(top))
    colors = {label: PALETTE[index % len(PALETTE)] for index, label in enumerate(labels)}
    places = np.arange(len(top))
    for label in dict.fromkeys(found["label"] for found in top):
        chosen = [place for place in places.tolist() if top[place]["label"] == label]
        shares = [100 * top[place]["share"] for place in chosen]
        axes.barh(chosen, shares, color=colors[label], label=plain(label, LEGEND))
    axes.scatter([100 * found["bound"] for found in top], places, marker="|", color="black", s=60)
    axes.set_yticks(places, [plain(found["token"]) for found in top])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("percent of its texts that have the label (line: at least)")
    if len(labels) <= MOST_LABELS:
        legend_above(axes, columns=2)
    return svg(figure, "Which tokens say most of a label")


def plot_drift(drift: dict[str, Any] | None) -> tuple[Markup, Markup]:
    """Rows by time, and the share of each label by time; nothing where there are no dates."""
    if drift is None:
        return Markup(""), Markup("")
    starts = np.array([each["start"] for each in drift["bins"]], dtype="datetime64[s]")
    edges = np.append(starts, starts[-1] + (starts[-1] - starts[-2]))
    rows = np.array([each["rows"] for each in drift["bins"]])
    rows_figure, axes = plot(height=2.6)
    axes.stairs(rows, edges, fill=True, color=PALETTE[5])
    axes.set_ylabel("sampled rows")
    _dates(axes)
    labels_figure, axes = plot(height=3.0)
    names = list(drift["bins"][0]["labels"])
    mean = {
        name: sum(each["labels"][name] * each["rows"] for each in drift["bins"] if each["rows"])
        for name in names
    }
    for color, name in zip(PALETTE, sorted(names, key=lambda name: -mean[name]), strict=False):
        shares = [
            np.nan if each["labels"][name] is None else 100 * each["labels"][name]
            for each in drift["bins"]
        ]
        axes.stairs(shares, edges, color=color, label=plain(name, LEGEND), baseline=None)
    axes.set_ylim(-2, 102)
    axes.set_ylabel("percent of the rows")
    legend_above(axes, columns=2)
    _dates(axes)
    return svg(rows_figure, "Rows by time"), svg(labels_figure, "The share of each label by time")


def _dates(axes: Any) -> None:
    axes.tick_params(axis="x", labelrotation=30)
    axes.set_xlabel("time (UTC)")
