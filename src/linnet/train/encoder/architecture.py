"""Which architectures can be trained: encoders of transformers that read a whole text.

Decided by config.json alone, before weights or data are read.
"""

import json
from pathlib import Path

from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
)

from linnet.errors import ModelError

INSTEAD = (
    "Take an encoder of the BERT kind, such as distilbert-base-uncased, roberta-base or "
    "xlm-roberta-base, or the built-in linnet-mini."
)
SEQUENCE_TO_SEQUENCE = {"bart", "mbart", "mvp", "plbart", "bigbird_pegasus"}
SEQUENCE_TO_SEQUENCE |= {"t5", "mt5", "umt5", "t5gemma", "t5gemma2"}


def check_architecture(name: str, folder: Path) -> None:
    """Refuse what is no encoder.

    Args:
        name: What the encoder is called, for the message.
        folder: Holds config.json.

    Raises:
        ModelError: config.json can't be read, or names a decoder, an encoder-decoder, XLNet, or an
            architecture that does not classify texts.
    """
    config = _read(name, folder / "config.json")
    kind = config.get("model_type")
    if not isinstance(kind, str):
        raise ModelError(
            f"The encoder {name} has no model_type in its config.json, so its architecture is not "
            f"known. {INSTEAD}"
        )
    if reason := _reason(kind, config):
        raise ModelError(f"{name} is {reason}, and Linnet trains encoders alone. {INSTEAD}")


def _reason(kind: str, config: dict[str, object]) -> str:
    if kind == "xlnet":
        return "an XLNet, which reads a text in permuted order and pads it on the left"
    if kind in SEQUENCE_TO_SEQUENCE or config.get("is_encoder_decoder") is True:
        return f"an encoder-decoder ({kind})"
    causal = kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    if (causal and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES) or config.get("is_decoder"):
        return f"a decoder ({kind}), which reads each token without those after it"
    if kind not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES:
        return f"a model of the type {kind!r:.60}, which transformers can't load to classify texts"
    return ""


def _read(name: str, file: Path) -> dict[str, object]:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(
            f"The encoder {name} can't be loaded: {file} can't be read as JSON ({error})."
        ) from error
    if not isinstance(config, dict):
        raise ModelError(f"The encoder {name} can't be loaded: {file} is no JSON object.")
    return config
