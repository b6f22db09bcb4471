"""The same model in MLServer with adaptive batching, as its documentation has it ("Custom Inference Runtimes").

python mlserver_batch.py PORT        with MODEL in the environment
"""

import asyncio
import os
import sys

import torch
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse
from transformers import AutoModelForSequenceClassification, AutoTokenizer


class ClassificationObjective(MLModel):
    """Texts to labels, gathered by the framework."""

    async def load(self) -> bool:
        """Load the model."""
        self.tokenizer = AutoTokenizer.from_pretrained(os.environ["MODEL"])
        self.model = AutoModelForSequenceClassification.from_pretrained(os.environ["MODEL"]).eval()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """The label of each text."""
        texts = StringCodec.decode_input(payload.inputs[0])
        batch = self.tokenizer(
            texts, padding=True, truncation=True, max_length=128, return_tensors="pt"
        )
        with torch.inference_mode():
            best = self.model(**batch).logits.argmax(-1).tolist()
        labels = StringCodec.encode_output(
            "label", [self.model.config.id2label[one] for one in best]
        )
        return InferenceResponse(model_name=self.name, outputs=[labels])


if __name__ == "__main__":
    port = int(sys.argv[1])
    settings = Settings(
        http_port=port,
        grpc_port=port + 1,
        metrics_port=port + 2,
        parallel_workers=0,
        extensions=[],
        debug=False,
    )
    model = ModelSettings(
        name="classify",
        implementation=ClassificationObjective,
        max_batch_size=16,
        max_batch_time=0.01,
    )
    asyncio.run(MLServer(settings).start([model]))
