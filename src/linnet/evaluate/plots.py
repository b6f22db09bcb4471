"""The figures of a report. Each takes numbers and gives inline SVG."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from linnet.evaluate.calibration import ReliabilityBin
from linnet.html import PALETTE, legend_above, percent, plain, plot, svg

FIRST = PALETTE[0]
SECOND = PALETTE[1]
GREY = PALETTE[5]
CELLS_WITH_NUMBERS = 12
TICKS = 20  # label names that fit next to a matrix
SHOWN_LABELS = 40  # of a plot with one line per label
LONGEST_NAME = 20
STRONGEST = (
    0.55  # opacity of a cell: the text in it keeps its contrast on light pages and on dark ones
)
SMOOTH = 15  # windows of the running mean in one curve


def confusion(matrix: NDArray[np.int64], labels: Sequence[str]) -> Markup:
    """A heat map of predictions by label; nothing if the names would not fit.

    Args:
        matrix: Rows by label, columns by prediction, int (C, C).
        labels: Their names.
    """
    size = len(labels)
    if size > TICKS:
        return Markup("")
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure, axes = plot(height=4.0)
    # Opacity in place of a colour map keeps empty cells the colour of the page, light or dark.
    colour = np.empty((size, size, 4))
    colour[..., :3] = [int(FIRST[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    colour[..., 3] = 0.04 + (STRONGEST - 0.04) * shares
    axes.imshow(colour)
    small = 10 if size <= CELLS_WITH_NUMBERS else 7
    names = [plain(label, LONGEST_NAME) for label in labels]
    axes.set_xticks(range(size), names, rotation=0 if size <= 3 else 90, fontsize=small)
    axes.set_yticks(range(size), names, fontsize=small)
    if size <= CELLS_WITH_NUMBERS:
        for row, column in np.ndindex(size, size):
            text = f"{matrix[row, column]:,}\n{percent(shares[row, column], 0)}"
            axes.text(column, row, text, ha="center", va="center", fontsize=10 if size <= 4 else 6)
    axes.set_xlabel("predicted")
    axes.set_ylabel("label")
    return svg(figure, "Confusion matrix: rows by label, columns by prediction")


def reliability(
    bins: Sequence[ReliabilityBin],
    stated: str = "probability of the predicted label",
    seen: str = "share predicted right",
) -> Markup:
    """Accuracy over confidence, with intervals; a calibrated model lies on the diagonal.

    Args:
        bins: The bins.
        stated: What the confidence is of.
        seen: What the accuracy is the share of.
    """
    figure, axes = plot(height=3.4)
    confidence = [item.confidence for item in bins]
    accuracy = [item.accuracy.value for item in bins]
    errors = [
        [item.accuracy.value - item.accuracy.low for item in bins],
        [item.accuracy.high - item.accuracy.value for item in bins],
    ]
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="calibrated")
    axes.errorbar(
        confidence,
        accuracy,
        np.maximum(errors, 0),
        color=FIRST,
        fmt="o-",
        capsize=2,
        label="this model",
    )
    axes.set_xlim(min([0.5, *confidence]) - 0.02, 1.02)
    axes.set_ylim(min([0.4, *accuracy]) - 0.02, 1.02)
    axes.set_xlabel(stated)
    axes.set_ylabel(seen)
    legend_above(axes)
    return svg(figure, f"Reliability: {seen} over the stated probability")


def probabilities(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> Markup:
    """How often which probability was stated, by whether the prediction was right."""
    figure, axes = plot()
    edges = np.linspace(min(0.5, float(confidence.min())), 1.0, 31)
    parts = [confidence[correct], confidence[~correct]]
    axes.hist(parts, edges.tolist(), stacked=True, color=[FIRST, SECOND], label=["right", "wrong"])
    axes.set_xlabel("probability of the predicted label")
    axes.set_ylabel("rows")
    legend_above(axes)
    return svg(figure, "Histogram of the stated probabilities")


def comparison(
    rows: Sequence[tuple[str, Mapping[str, float]]], measure: str = "accuracy"
) -> Markup:
    """A measure of several models with its interval, one a line."""
    figure, axes = plot(height=0.8 + 0.4 * len(rows))
    for place, (_, estimate) in enumerate(reversed(rows)):
        colour = FIRST if place == len(rows) - 1 else GREY
        value, low, high = (100 * estimate[key] for key in ("value", "low", "high"))
        axes.barh(place, value, color=colour, height=0.6)
        axes.errorbar(
            value, place, xerr=[[value - low], [high - value]], color="#000000", capsize=3
        )
        axes.text(high + 1, place, f"{value:.1f}", va="center")
    axes.set_yticks(range(len(rows)), [title for title, _ in reversed(rows)])
    axes.set_xlim(0, 108)
    axes.set_xlabel(f"{measure}, %")
    return svg(
        figure,
        f"{measure[0].upper()}{measure[1:]} of the model and of the baselines, with intervals",
    )


def by_label(rows: Sequence[Mapping[str, Any]]) -> Markup:
    """F1 of each label with its interval, one a line, the most frequent first; those that fit."""
    shown = sorted(rows, key=lambda row: -row["support"])[:SHOWN_LABELS]
    figure, axes = plot(height=0.8 + 0.2 * len(shown))
    for place, row in enumerate(shown):
        value, low, high = (100 * row["f1"][key] for key in ("value", "low", "high"))
        errors = [[max(value - low, 0)], [max(high - value, 0)]]
        axes.errorbar(value, place, xerr=errors, color=FIRST, fmt="o", capsize=2)
    axes.set_yticks(range(len(shown)), [plain(row["label"], LONGEST_NAME) for row in shown])
    axes.invert_yaxis()
    axes.set_xlim(-2, 102)
    axes.set_xlabel("F1, %")
    return svg(figure, "F1 of each label, with intervals")


def history(epochs: Sequence[Mapping[str, Any]]) -> Markup:
    """Losses and validation accuracy by epoch."""
    figure, axes = plot()
    number = [row["epoch"] for row in epochs]
    lines = axes.plot(
        number, [row["train_loss"] for row in epochs], "o-", color=GREY, label="training loss"
    )
    lines += axes.plot(
        number, [row["eval_loss"] for row in epochs], "o-", color=SECOND, label="validation loss"
    )
    axes.set_xticks(number)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    right = axes.twinx()
    right.spines["top"].set_visible(False)
    accuracy = [100 * row["eval_accuracy"] for row in epochs]
    lines += right.plot(number, accuracy, "s-", color=FIRST, label="validation accuracy")
    right.set_ylabel("accuracy, %")
    legend_above(axes, columns=2, handles=lines)
    return svg(figure, "Training loss, validation loss and validation accuracy by epoch")


def course(
    points: Sequence[Mapping[str, Any]], epochs: Sequence[Mapping[str, Any]], steps_per_epoch: int
) -> Markup:
    """Training loss by step with its running mean, and the validation loss by epoch."""
    figure, axes = plot()
    steps, losses = ([point[name] for point in points] for name in ("step", "loss"))
    axes.plot(steps, losses, color=GREY, linewidth=0.7, alpha=0.55, label="training loss")
    axes.plot(steps, running_mean(losses), color=FIRST, linewidth=1.8, label="running mean")
    ends = [steps_per_epoch * row["epoch"] for row in epochs]
    axes.plot(
        ends, [row["eval_loss"] for row in epochs], "o-", color=SECOND, label="validation loss"
    )
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    legend_above(axes)
    return svg(figure, "Training loss by step, and validation loss after each epoch")


def running_mean(values: Sequence[float]) -> NDArray[np.float64]:
    """The mean of each value and those around it; at the ends of those that are there.

    Args:
        values: In order, length n.

    Returns:
        float (n,).
    """
    count = len(values)
    half = count // (2 * SMOOTH)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(count)
    first = np.maximum(places - half, 0)
    end = np.minimum(places + half + 1, count)
    return np.asarray((sums[end] - sums[first]) / (end - first))
