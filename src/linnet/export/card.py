"""README.md: the model card, written from the bundle's own facts."""

from collections.abc import Mapping, Sequence
from typing import Any

from linnet.export.draft import BundleDraft
from linnet.markdown import code, inline
from linnet.train.hub_card import front_matter

ENTRIES_SHOWN = 20
MASKED = {
    "email": "an e-mail address",
    "phone": "a telephone number",
    "handle": "a handle such as @name",
}


def write(draft: BundleDraft, proof: Mapping[str, Any], reference: Mapping[str, Any]) -> str:
    """The model card as Markdown, with the metadata that the hub reads.

    Args:
        draft: What the bundle says of its model.
        proof: As in proof.json.
        reference: As in reference.json.
    """
    labels = draft.labels
    lineage = draft.lineage
    number = "any number" if draft.multi_label else "one"
    checks = proof["checks"]
    lines = [
        (title, line)
        for title, check in checks.items()
        for line in (f"{check['detail']}.", *check.get("notes", []))
    ]
    variants = _variants(proof, draft.models, draft.engines)
    details = "\n".join(f"- {inline(check)}: {inline(line)}" for check, line in lines)
    return f"""{_metadata(draft.name, lineage, proof)}
# {inline(draft.name)}

A text classifier: it gives a text {number} of {len(labels)} labels ({_listed(labels)}), with a probability for each.
Made with Linnet {lineage["export"]["packages"].get("linnet-text", "")} on {lineage["export"]["created"]}.

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
{_probabilities(draft.temperature)}{_thresholds(draft)}{variants}
## Data

{_data(lineage["data"], reference)}{_distillation(lineage.get("distil"))}

## Limits

{_limits(draft, reference)}

## Licence

{_licence(lineage)}
"""


def _metadata(name: str, lineage: Mapping[str, Any], proof: Mapping[str, Any]) -> str:
    source = lineage["data"]["source"]
    accuracy = proof["checks"]["accuracy"]
    # The hub calls every F1 "f1".
    metric = "f1" if accuracy.get("metric") == "micro_f1" else "accuracy"
    return front_matter(
        name,
        "linnet",
        ["linnet", "onnx"],
        lineage["encoder"],
        source["name"] if source else "not recorded",
        "validation",
        {metric: accuracy["value"]} if "value" in accuracy else {},
    )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(inline(name) for name in names[:ENTRIES_SHOWN])
    left = len(names) - ENTRIES_SHOWN
    return f"{shown} and {left} more" if left > 0 else shown


def _variants(
    proof: Mapping[str, Any], models: Mapping[str, str], engines: Mapping[str, Sequence[str]]
) -> str:
    refused = [entry for entry in proof.get("variants", []) if not entry["accepted"]]
    if len(models) < 2 and not refused:
        return ""
    kept = "\n".join(
        f"- {inline(name)}: {code(file)}, for {inline(' and '.join(engines[name]))}"
        for name, file in models.items()
    )
    left = "\n".join(
        f"- {inline(entry['variant'])} in {inline(entry['engine'])}: {inline(entry['reason'])}."
        for entry in refused
    )
    return f"""
## Variants

{kept}

Float32 is served until `linnet optimize` has measured on the host what is fastest there. What was tried and left out:

{left or "- nothing."}
"""


def _data(data: Mapping[str, Any], reference: Mapping[str, Any]) -> str:
    source = data["source"]["name"] if data["source"] else "not recorded"
    shares = [f"{label} {share:.1%}" for label, share in reference["true_labels"].items()]
    return (
        f"Source: {inline(source)}. Validated on {reference['rows']:,} rows ({_listed(shares)}), "
        f"half of them of up to {reference['token_length']['quantiles']['0.5']:.0f} tokens."
    )


def _distillation(distil: Mapping[str, Any] | None) -> str:
    if not distil:
        return ""
    agreement = distil["agreement"]
    rows = distil["rows"]
    named = zip(distil["teachers"], distil["teacher_digests"], strict=True)
    teachers = ", ".join(f"{code(teacher['name'])} ({inline(digest)})" for teacher, digest in named)
    less = distil["left_out"]
    without = (
        f" ({less['words']:,} telling words left out of {less['texts']:,} of them)" if less else ""
    )
    return (
        f"\n\nIt was taught by {teachers}, asked for {rows['train']:,} training texts and "
        f"{rows['texts']:,} texts "
        f"without labels{without}. It agrees with what it was taught on {agreement['value']:.1%} "
        f"of the validation "
        "rows, and what is wrong there it learnt too."
    )


def _probabilities(temperature: float) -> str:
    if temperature == 1:
        return ""
    return f"""
Its logits are divided by a temperature of {temperature:.2f}, fitted on the validation rows, so that its probabilities
mean what they say.
"""


def _thresholds(draft: BundleDraft) -> str:
    if draft.thresholds is None:
        return ""
    shown = [
        f"{label} {'never' if threshold is None else f'{threshold:.2f}'}"
        for label, threshold in zip(draft.labels, draft.thresholds, strict=True)
    ]
    if draft.min_precision is not None:
        others = (
            "A text whose label is less sure gets none, and the answer says that the model "
            "abstained.\n"
        )
        others += "The accuracy above counts every text, as though it had to be answered."
        if draft.multi_label:
            others = (
                "A label that is less sure is not given. The F1 above is by other thresholds, "
                "chosen for it."
            )
        return f"""
A label is given from a probability of its own on ({_listed(shown)}): the lowest from which on at least
{draft.min_precision:.2%} of its answers are shown to be right. {others}
"""
    return f"""
A label applies from a probability of its own on ({_listed(shown)}): the one with the label's best F1 on the
validation rows, or for a label that few of them have, the best for all labels together. The F1 above is by
thresholds that were tuned on other rows than those judged.
"""


def _masked(mask: Sequence[str]) -> str:
    if not mask:
        return (
            "Personal data were not masked: it may have learned names, addresses or numbers from "
            "its data."
        )
    kinds = _listed([MASKED[kind] for kind in mask])
    return (
        f"Before the model sees a text, in training as in service, what looks like {kinds} is "
        "replaced. That is found by shape alone: names of people, and odd spellings, get through."
    )


def _limits(draft: BundleDraft, reference: Mapping[str, Any]) -> str:
    foreign = (
        "Every text gets one of the labels, also one that is about none of them or in another "
        "language."
    )
    if draft.min_precision is not None:
        foreign = (
            "A text that is about none of the labels or in another language may get one all the "
            "same."
        )
    elif draft.multi_label:
        foreign = (
            "A text of another kind or in another language gets labels too, where it happens to "
            "look like one."
        )
    lines = [
        f"It reads the first {draft.max_length:,} tokens of a text; the rest is cut off, and the "
        f"answer says so ({reference['truncated']:.1%} of the validation rows were cut).",
        foreign,
        _masked(draft.mask),
        "What the figures say holds for texts like the validation rows; other sources and later "
        "times may differ.",
        "It learned what its data hold, prejudice included: look at its errors by group before it "
        "decides on people.",
    ]
    if draft.lineage["data"]["generated"]:
        lines.insert(
            0, "**The data are generated: the figures show that the parts work, not how well.**"
        )
    return "\n".join(f"- {line}" for line in lines)


def _licence(lineage: Mapping[str, Any]) -> str:
    encoder = lineage["encoder"] or {}
    if encoder.get("source") == "scratch":
        return "The encoder was trained from nothing; what binds is the licence of the data."
    name = code(encoder["name"]) if encoder else "an encoder that was not recorded"
    return (
        f"The model was fine-tuned from {name}; the licences of that encoder and of the data bind "
        f"this model too."
    )
