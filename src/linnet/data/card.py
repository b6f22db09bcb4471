"""The data card accounts for each raw row and describes the splits."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from linnet.config import DataConfig
from linnet.data.audit.plots import plot_drift, plot_tokens, plot_words
from linnet.data.clean.collect import Collected
from linnet.data.sources import catalog, generate
from linnet.files import canonical_json, write_text
from linnet.html import PALETTE, legend_above, plain, plot, render, svg
from linnet.lineage import lineage
from linnet.tables.source import Source

FORMAT = 1
NAME = "data_card.json"
PAGE = "data_card.html"
DRAWN = 20  # classes; more are shown in a table only
QUANTILES = {
    "min": 0.0,
    "p05": 0.05,
    "p25": 0.25,
    "median": 0.5,
    "p75": 0.75,
    "p95": 0.95,
    "max": 1.0,
}
REASONS = {
    "answered_by_people": "people answered the same text since, and their row counts",
    "audit_like_training": "a similar text is trained on, so it can't measure",
    "between_splits": "it is similar to texts that were in different splits before",
    "blank_line": "a blank line",
    "conflicting_labels": "its text also has another label",
    "copy_of_earlier": "a similar text is in an earlier split",
    "duplicate": "another row with the same text and label is used",
    "empty_text": "the text has no visible character",
    "in_test_file": "a similar text is in the test file",
    "in_validation_file": "a similar text is in the validation file",
    "like_held_out": "a similar text is in validation, in test or in the audit",
    "lone_surrogate": "half of a surrogate pair",
    "missing_label": "no label",
    "nested_entities": "HTML entities are nested too deeply",
    "no_date": "no date to split by",
    "not_sampled": "usable, but neither in the sample nor in the test rows",
    "not_text": "the text is not a string",
    "nul_byte": "a NUL byte in the text",
    "rare_class": "its class has fewer rows than data.min_class_rows",
    "removed_by_review": "removed by the corrections",
    "tokenizer_failed": "the model's tokenizer fails on the text",
    "too_few_fields": "fewer fields than columns",
    "too_many_fields": "more fields than columns",
    "wrong_encoding": "the text is bytes that are not UTF-8",
}

VERDICTS = {
    "all_different": "every value is different",
    "constant": "only one value",
    "hints": "predicts the label a little",
    "leaks": "leaks the label",
    "nothing": "does not predict the label",
    "too_few_rows": "too few rows",
}


def describe(
    settings: DataConfig,
    source: Source | None,
    apart: dict[str, Source],
    dialect: dict[str, Any],
    collected: Collected,
    found: dict[str, int],
    noise: dict[str, Any] | None,
    accounting: dict[str, Any],
    classes: dict[str, dict[str, int]],
    since: dict[str, Any] | None,
    lengths: dict[str, np.ndarray],
    audit: dict[str, Any],
    left_out: dict[str, int],
    sources: dict[str, dict[str, int]] | None,
    notes: list[str],
) -> dict[str, Any]:
    """Build the content of data_card.json.

    Args:
        settings: The settings of the run.
        source: The raw file; None if the data are generated.
        apart: The own files of splits that have one.
        dialect: The format that the file was read in.
        collected: The clean rows.
        found: Counts of texts, duplicates, conflicts and groups.
        noise: Summary of the likely wrong labels; None if they were not searched for.
        accounting: Number of rows used and dropped.
        classes: Rows of each class in each split.
        since: Changes since the previous splits; None if there were none.
        lengths: Characters of the texts of each split.
        audit: Findings about the rows that were kept.
        left_out: Rare classes and their rows.
        sources: Rows of each source of labels in each split; None if no column says so.
        notes: Sentences for the user.
    """
    return {
        "format": FORMAT,
        "source": _source(settings, source, dialect),
        "apart": {
            name: {"name": each.name, "sha256": each.digest(), **_count(each)}
            for name, each in apart.items()
        },
        "generated": source is None,
        "columns": {
            "text": collected.text_column,
            "label": collected.label_column,
            "others": [name for name in collected.names if name not in ("text", "label")],
        },
        "labels": list(collected.labels),
        "label_forms": {name: found for name, found in asdict(collected.forms).items() if found},
        "left_out": left_out,
        "accounting": accounting,
        "multi_label": bool(collected.label_sets),
        "classes": classes,
        "repaired": collected.repaired,
        "since": since,
        "sources": sources,
        "found": found,
        "corrections": collected.corrections,
        "noise": noise,
        "lengths": {name: _quantiles(values) for name, values in lengths.items()},
        "audit": audit,
        "settings": settings.model_dump(mode="json"),
        "notes": [*notes, *audit["warnings"]],
        "lineage": lineage(),
    }


def write(directory: Path, card: dict[str, Any], lengths: dict[str, np.ndarray]) -> None:
    """Write data_card.json and data_card.html.

    Args:
        directory: The splits folder.
        card: As `describe` gives it.
        lengths: Characters of the texts of each split. They are plotted.
    """
    write_text(directory / NAME, canonical_json(card))
    page = render(
        PAGE,
        card=card,
        reasons=REASONS,
        verdicts=VERDICTS,
        labels=_by_frequency(card),
        rows_plot=_plot_rows(card["accounting"]),
        classes_plot=_plot_classes(card["classes"]) if len(card["labels"]) <= DRAWN else "",
        lengths_plot=_plot_lengths(lengths),
        words_plot=plot_words(card["audit"]["words"], card["labels"]),
        tokens_plot=plot_tokens(card["audit"]["tokens"]),
        drift_plots=plot_drift(card["audit"]["drift"]),
    )
    write_text(directory / PAGE, page)


def _source(settings: DataConfig, source: Source | None, dialect: dict[str, Any]) -> dict[str, Any]:
    if source is None:
        return {"name": generate.NAME, **dialect}
    return {
        "name": source.name,
        "member": source.member,
        "sha256": source.digest(),
        "bytes": source.size,
        "format": source.format,
        "compression": source.compression.removeprefix("."),
        **(catalog.origin(Path(settings.source)) if isinstance(settings.source, str) else {}),
        **dialect,
    }


def _count(source: Source) -> dict[str, int]:
    return {"files": len(source.parts)} if source.parts else {}


def _quantiles(lengths: np.ndarray) -> dict[str, float]:
    if not len(lengths):
        return {}
    values = np.quantile(lengths, list(QUANTILES.values()), method="nearest")
    return {name: int(value) for name, value in zip(QUANTILES, values, strict=True)}


def _by_frequency(card: dict[str, Any]) -> list[str]:
    """The labels, the most frequent first where there are too many to draw."""
    labels: list[str] = card["labels"]
    if len(labels) <= DRAWN:
        return labels
    return sorted(labels, key=lambda name: -sum(each[name] for each in card["classes"].values()))


def _plot_rows(accounting: dict[str, Any]) -> Markup:
    rows = accounting["used"] | accounting["dropped"]
    figure, axes = plot(height=1.0 + 0.28 * len(rows))
    colors = [PALETTE[0]] * len(accounting["used"]) + [PALETTE[1]] * len(accounting["dropped"])
    bars = axes.barh([name.replace("_", " ") for name in rows], list(rows.values()), color=colors)
    axes.bar_label(bars, [f"{count:,}" for count in rows.values()], padding=4)
    axes.margins(x=0.15)
    axes.invert_yaxis()
    axes.set_xlabel("rows")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    return svg(figure, "Rows used in each split, and rows dropped for each reason")


def _plot_classes(classes: dict[str, dict[str, int]]) -> str:
    labels = list(classes["train"])
    figure, axes = plot(height=1.2 + 0.3 * len(labels))
    left = np.zeros(len(labels))
    for color, (name, counts) in zip(PALETTE, classes.items(), strict=False):
        values = np.array(list(counts.values()))
        axes.barh(np.arange(len(labels)), values, left=left, color=color, label=name)
        left += values
    axes.set_yticks(np.arange(len(labels)), list(map(plain, labels)))
    axes.invert_yaxis()
    axes.set_xlabel("rows")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    legend_above(axes)
    return svg(figure, "Rows of each class in each split")


def _plot_lengths(lengths: dict[str, np.ndarray]) -> str:
    figure, axes = plot()
    longest = max(
        (np.quantile(values, 0.99) for values in lengths.values() if len(values)), default=1
    )
    for color, (name, values) in zip(PALETTE, lengths.items(), strict=False):
        if len(values):
            weights = np.full(len(values), 100 / len(values))
            axes.hist(
                values,
                bins=40,
                range=(0, longest + 1),
                weights=weights,
                histtype="step",
                color=color,
                label=name,
            )
    axes.set_xlabel("characters of a text")
    axes.set_ylabel("percent of the split")
    legend_above(axes)
    return svg(figure, "How long the texts of each split are")
