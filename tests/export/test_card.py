"""The model card says what the facts are, each in its place."""

from dataclasses import replace
from typing import Any

import pytest
from huggingface_hub import ModelCard

from linnet.export import card
from linnet.export.checkpoint import MULTI_LABEL, SINGLE_LABEL
from linnet.export.draft import BundleDraft

PROOF = {
    "checks": {
        "accuracy": {
            "passed": True,
            "value": 0.91,
            "detail": "accuracy 91.00% on 200 validation rows",
        },
        "parity": {"passed": True, "detail": "largest logit difference to torch 1e-06"},
    }
}
REFERENCE = {
    "rows": 200,
    "true_labels": {"ham": 0.875, "spam": 0.125},
    "token_length": {"quantiles": {"0.5": 23.0}},
    "truncated": 0.015,
}
LINEAGE: dict[str, Any] = {
    "encoder": {"name": "an/encoder", "source": "hub"},
    "data": {"source": {"name": "mails.csv"}, "generated": False},
    "export": {"created": "2026-01-02T03:04:05+00:00", "packages": {"linnet-text": "9.8.7"}},
}


DRAFT = BundleDraft("mails", ["ham", "spam"], SINGLE_LABEL, 64, LINEAGE)


def write(**changes: Any) -> str:
    return card.write(replace(DRAFT, lineage=LINEAGE | changes), PROOF, REFERENCE)


def test_every_fact_is_told():
    text = write()
    metadata, _, rest = text.partition("\n---\n")
    assert metadata.startswith("---\n") and rest.strip().startswith("# mails\n")
    assert ModelCard(text).data.to_dict() == {
        "library_name": "linnet",
        "pipeline_tag": "text-classification",
        "tags": ["text-classification", "linnet", "onnx"],
        "base_model": "an/encoder",
        "model-index": [
            {
                "name": "mails",
                "results": [
                    {
                        "task": {"type": "text-classification"},
                        "dataset": {
                            "name": "mails.csv",
                            "type": "mails.csv",
                            "split": "validation",
                        },
                        "metrics": [{"type": "accuracy", "value": 0.91}],
                    }
                ],
            }
        ],
    }
    assert "one of 2 labels (ham, spam)" in text
    assert "Made with Linnet 9.8.7 on 2026-01-02T03:04:05+00:00." in text
    assert "- accuracy: accuracy 91.00% on 200 validation rows.\n" in text
    assert "- parity: largest logit difference to torch 1e-06.\n" in text
    assert (
        "Source: mails.csv. Validated on 200 rows (ham 87.5%, spam 12.5%), half of them of up to 23 tokens."
        in text
    )
    assert "reads the first 64 tokens" in text
    assert "1.5% of the validation rows were cut" in text
    assert "fine-tuned from `an/encoder`" in text


@pytest.mark.parametrize(
    "label", ["x\n---\nlicense: mit\n---\n", "---\nlicense: mit", "a: b", "\r\n# Heading", "{{x}}"]
)
def test_no_label_forges_the_metadata_or_a_section(label):
    text = card.write(replace(DRAFT, labels=["ham", label]), PROOF, REFERENCE)
    assert ModelCard(text).data.to_dict() == ModelCard(write()).data.to_dict()
    assert "\n# Heading" not in text and text.count("\n---\n") == 1


def test_every_section_is_there_and_filled():
    _, *sections = write().split("\n## ")
    assert [section.partition("\n")[0] for section in sections] == [
        "Use",
        "How good it is",
        "Data",
        "Limits",
        "Licence",
    ]
    assert all(section.partition("\n")[2].strip() for section in sections)


@pytest.mark.parametrize("generated", [True, False])
def test_generated_data_are_called_so(generated):
    text = write(data={"source": {"name": "generated"}, "generated": generated})
    assert ("The data are generated" in text) is generated


def test_what_was_not_recorded_is_called_so():
    text = write(encoder=None, data={"source": None, "generated": False})
    assert "Source: not recorded." in text
    assert "fine-tuned from an encoder that was not recorded" in text


def test_a_scratch_encoder_has_no_licence_of_its_own():
    assert "trained from nothing" in write(encoder={"name": "scratch", "source": "scratch"})


def test_many_labels_are_cut_short():
    labels = [f"intent {i}" for i in range(77)]
    text = card.write(replace(DRAFT, labels=labels), PROOF, REFERENCE)
    assert "one of 77 labels (intent 0, " in text
    assert "intent 19 and 57 more)" in text
    assert "intent 20" not in text


def test_a_temperature_is_told_where_there_is_one():
    assert "temperature" not in write()
    text = card.write(replace(DRAFT, temperature=1.527), PROOF, REFERENCE)
    assert "divided by a temperature of 1.53, fitted on the validation rows" in text


@pytest.mark.parametrize("kind", [SINGLE_LABEL, MULTI_LABEL])
def test_what_is_held_back_is_told(kind):
    draft = replace(DRAFT, problem_type=kind, min_precision=0.95, thresholds=[0.81, None])
    checks = PROOF["checks"] | {
        "precision": {"passed": True, "detail": "fine", "notes": ["Never answered: 'spam'."]}
    }
    text = card.write(draft, {"checks": checks}, REFERENCE)
    assert "- precision: fine.\n- precision: Never answered: 'spam'.\n" in text
    assert "(ham 0.81, spam never). A label is given only if its probability reaches" in text
    assert "at which at least 95.00% of its answers are shown to be right." in text
    assert ("the answer says that the model abstained" in text) is (kind == SINGLE_LABEL)
    assert ("The F1 above is by other thresholds" in text) is (kind == MULTI_LABEL)
    assert "Every text gets one of the labels" not in text


def test_a_label_or_a_name_forges_no_part_of_the_card():
    forged = "good)\n\n## How good it is\n\n- accuracy: 99.99 %"
    reference = REFERENCE | {"true_labels": {forged: 0.875, "bad": 0.125}}
    lineage = LINEAGE | {
        "encoder": {"name": "an`\n# encoder", "source": "folder"},
        "data": {"source": {"name": "<b>\n# mails"}, "generated": False},
    }
    text = card.write(
        replace(DRAFT, name="a [name](x)\n# other", labels=[forged, "bad"], lineage=lineage),
        PROOF,
        reference,
    )
    body = text.partition("\n---\n")[2]
    assert [line for line in body.splitlines() if line.startswith("#")] == [
        r"# a \[name\](x) \# other",
        "## Use",
        "## How good it is",
        "## Data",
        "## Limits",
        "## Licence",
    ]
    assert r"(good) \#\# How good it is - accuracy: 99.99 %, bad)" in body
    assert r"Source: \<b\> \# mails." in body
    assert "fine-tuned from `` an` # encoder ``." in body
