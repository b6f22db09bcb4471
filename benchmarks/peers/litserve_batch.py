"""The same model in LitServe with batches of 16, as its documentation has it ("Batching").

python litserve_batch.py PORT        with MODEL in the environment
"""

import os
import sys
from typing import Any

import litserve
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer


class ClassificationObjective(litserve.LitAPI):
    """Texts to labels, a batch at a time."""

    def setup(self, device: str) -> None:
        """Load the model."""
        self.tokenizer = AutoTokenizer.from_pretrained(os.environ["MODEL"])
        self.model = (
            AutoModelForSequenceClassification.from_pretrained(os.environ["MODEL"])
            .to(device)
            .eval()
        )

    def decode_request(self, request: dict[str, Any]) -> str:
        """The text of a request."""
        return str(request["text"])

    def predict(self, texts: list[str]) -> list[list[float]]:
        """The probabilities of a batch."""
        batch = self.tokenizer(
            texts, padding=True, truncation=True, max_length=128, return_tensors="pt"
        )
        with torch.inference_mode():
            found: list[list[float]] = self.model(**batch).logits.softmax(-1).tolist()
        return found

    def encode_response(self, probabilities: list[float]) -> dict[str, Any]:
        """The answer to a request."""
        best = max(range(len(probabilities)), key=probabilities.__getitem__)
        return {"label": self.model.config.id2label[best], "score": probabilities[best]}


if __name__ == "__main__":
    api = ClassificationObjective(max_batch_size=16, batch_timeout=0.01)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
