"""README.md: the model card, written from the bundle's own facts."""

from collections.abc import Mapping, Sequence
from typing import Any

ENTRIES_SHOWN = 20


def write(
    name: str,
    labels: Sequence[str],
    max_length: int,
    lineage: Mapping[str, Any],
    proof: Mapping[str, Any],
    reference: Mapping[str, Any],
) -> str:
    """The model card as Markdown.

    Args:
        name: The model's name.
        labels: Label names by id.
        max_length: Tokens a text may have.
        lineage: As in manifest.json.
        proof: As in proof.json.
        reference: As in reference.json.
    """
    checks = proof["checks"]
    details = "\n".join(f"- {check_name}: {check['detail']}." for check_name, check in checks.items())
    return f"""# {name}

A text classifier: it gives a text one of {len(labels)} labels ({_listed(labels)}), with a probability for each.
Made with Linnet {lineage["export"]["packages"].get("linnet", "")} on {lineage["export"]["created"]}.

## Use

```python
import linnet

classifier = linnet.load("this folder")
classifier.predict(["a text"])
```

Or serve it: `linnet serve FOLDER`. Loading checks every file against `manifest.json`, and the proof.

## How good it is

{details}

All of it is measured on the ONNX file in this folder. The validation rows also chose the epoch that was kept,
so the accuracy flatters the model a little; `linnet evaluate` judges it on rows that played no part.

## Data

{_data(lineage["data"], reference)}

## Limits

{_limits(max_length, lineage["data"], reference)}

## Licence

{_licence(lineage)}
"""


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:ENTRIES_SHOWN])
    left = len(names) - ENTRIES_SHOWN
    return f"{shown} and {left} more" if left > 0 else shown


def _data(data: Mapping[str, Any], reference: Mapping[str, Any]) -> str:
    source = data["source"]["name"] if data["source"] else "not recorded"
    shares = [f"{label} {share:.1%}" for label, share in reference["true_labels"].items()]
    return (
        f"Source: {source}. Validated on {reference['rows']:,} rows ({_listed(shares)}), half of them of up to "
        f"{reference['token_length']['quantiles']['0.5']:.0f} tokens."
    )


def _limits(max_length: int, data: Mapping[str, Any], reference: Mapping[str, Any]) -> str:
    lines = [
        f"It reads the first {max_length:,} tokens of a text; the rest is cut off, and the answer says so "
        f"({reference['truncated']:.1%} of the validation rows were cut).",
        "Every text gets one of the labels, also one that is about none of them or in another language.",
        "What the figures say holds for texts like the validation rows; other sources and later times may differ.",
        "It learned what its data hold, prejudice included: look at its errors by group before it decides on people.",
    ]
    if data["generated"]:
        lines.insert(0, "**The data are generated: the figures show that the parts work, not how well.**")
    return "\n".join(f"- {line}" for line in lines)


def _licence(lineage: Mapping[str, Any]) -> str:
    encoder = lineage["encoder"] or {}
    if encoder.get("source") == "scratch":
        return "The encoder was trained from nothing; what binds is the licence of the data."
    name = f"`{encoder['name']}`" if encoder else "an encoder that was not recorded"
    return f"The model was fine-tuned from {name}; the licences of that encoder and of the data bind this model too."
