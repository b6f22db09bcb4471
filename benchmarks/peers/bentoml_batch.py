"""The same model in BentoML with adaptive batching, as its documentation has it ("Adaptive batching").

bentoml serve bentoml_batch:Classify        with MODEL in the environment
"""

import os

import bentoml
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer


@bentoml.service(traffic={"timeout": 60})
class ClassificationObjective:
    """Texts to labels, gathered by the framework."""

    def __init__(self) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(os.environ["MODEL"])
        self.model = AutoModelForSequenceClassification.from_pretrained(os.environ["MODEL"]).eval()

    @bentoml.api(batchable=True, max_batch_size=16, max_latency_ms=10_000)
    def predict(self, text: list[str]) -> list[str]:
        """The label of each text."""
        batch = self.tokenizer(
            text, padding=True, truncation=True, max_length=128, return_tensors="pt"
        )
        with torch.inference_mode():
            best = self.model(**batch).logits.argmax(-1).tolist()
        return [self.model.config.id2label[one] for one in best]
