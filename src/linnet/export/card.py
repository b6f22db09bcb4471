"""README.md: the model card, from the bundle's own facts and the template card.md."""

from collections.abc import Mapping
from typing import Any

from linnet.export.draft import BundleDraft
from linnet.markdown import Markdown, code, inline, render
from linnet.train.hub_card import front_matter

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
    lineage = draft.lineage
    distil = lineage.get("distil")
    return render(
        "card.md",
        front_matter=Markdown(_metadata(draft.name, lineage, proof)),
        draft=draft,
        lineage=lineage,
        encoder=lineage["encoder"] or {},
        proof=proof,
        refused=[entry for entry in proof.get("variants", []) if not entry["accepted"]],
        reference=reference,
        shares=[f"{label} {share:.1%}" for label, share in reference["true_labels"].items()],
        thresholds=[
            f"{label} {'never' if threshold is None else f'{threshold:.2f}'}"
            for label, threshold in zip(draft.labels, draft.thresholds or (), strict=False)
        ],
        masked=[MASKED[kind] for kind in draft.mask],
        distil=distil,
        teachers=_teachers(distil) if distil else "",
    )


def _teachers(distil: Mapping[str, Any]) -> Markdown:
    named = zip(distil["teachers"], distil["teacher_digests"], strict=True)
    return Markdown(
        ", ".join(f"{code(teacher['name'])} ({inline(digest)})" for teacher, digest in named)
    )


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
