"""The same model in Ray Serve with batches of 16, as its documentation has it ("Dynamic Request Batching").

python ray_batch.py PORT        with MODEL in the environment
"""

import os
import sys

import torch
from ray import serve
from starlette.requests import Request
from transformers import AutoModelForSequenceClassification, AutoTokenizer


@serve.deployment(max_ongoing_requests=100)
class ClassificationObjective:
    """Texts to labels, gathered by the framework."""

    def __init__(self) -> None:
        torch.set_num_threads(os.cpu_count() or 1)  # Ray lets an actor have one
        self.tokenizer = AutoTokenizer.from_pretrained(os.environ["MODEL"])
        self.model = AutoModelForSequenceClassification.from_pretrained(os.environ["MODEL"]).eval()

    @serve.batch(max_batch_size=16, batch_wait_timeout_s=0.01)
    async def classify(self, texts: list[str]) -> list[str]:
        """The label of each text."""
        batch = self.tokenizer(
            texts, padding=True, truncation=True, max_length=128, return_tensors="pt"
        )
        with torch.inference_mode():
            best = self.model(**batch).logits.argmax(-1).tolist()
        return [self.model.config.id2label[one] for one in best]

    async def __call__(self, request: Request) -> dict[str, str]:
        """The answer to a request."""
        return {"label": await self.classify((await request.json())["text"])}


if __name__ == "__main__":
    serve.start(http_options={"port": int(sys.argv[1])})
    serve.run(ClassificationObjective.bind(), route_prefix="/predict", blocking=True)
