"""The metadata block of a model card for the Hugging Face Hub: YAML between dashes.

Written by huggingface_hub, which quotes what needs it. Says no licence: that of the data is not
known.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from huggingface_hub import EvalResult, ModelCardData

TASK = "text-classification"
PLAIN = re.compile(r"[^A-Za-z0-9._-]+")


def front_matter(
    name: str,
    library: Literal["transformers", "linnet"],
    tags: Sequence[str],
    encoder: Mapping[str, Any] | None,
    source: str,
    split: str,
    metrics: Mapping[str, float],
) -> str:
    """The block, dashes and a last line break included.

    Args:
        name: The model's.
        library: What loads the folder.
        tags: More than the task.
        encoder: Name and source of what was fine-tuned; the base model if it is from the hub.
        source: Where the data are from.
        split: What the metrics were measured on.
        metrics: Values from 0 to 1 by the hub's name for the metric.
    """
    encoder = encoder or {}
    results = [
        EvalResult(
            task_type=TASK,
            dataset_type=PLAIN.sub("-", source).strip("-.")[:96] or "unnamed",
            dataset_name=_text(source) or "unnamed",
            dataset_split=split,
            metric_type=metric,
            metric_value=round(value, 4),
        )
        for metric, value in metrics.items()
    ]
    data = ModelCardData(
        model_name=_text(name),
        pipeline_tag=TASK,
        library_name=library,
        base_model=encoder["name"] if encoder.get("source") == "hub" else None,
        tags=[TASK, *tags],
        eval_results=results or None,
    )
    return f"---\n{data.to_yaml()}\n---\n"


def _text(value: str) -> str:
    """On one line, and without halves of surrogate pairs, which no UTF-8 file can hold."""
    return " ".join(value.encode("utf-8", "replace").decode("utf-8").split())
