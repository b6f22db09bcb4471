"""A service as people write it: FastAPI around transformers' pipeline, one text a request.

uvicorn fastapi_pipeline:app        with MODEL in the environment
"""

import os

from fastapi import FastAPI
from pydantic import BaseModel
from transformers import pipeline

classify = pipeline("text-classification", model=os.environ["MODEL"], device="cpu")
app = FastAPI()


class Body(BaseModel):
    """A text."""

    text: str


@app.post("/predict")
def predict(body: Body) -> dict[str, object]:
    """Its label and score. No coroutine, so FastAPI answers in its threads."""
    (answer,) = classify(body.text, truncation=True, max_length=128)
    return dict(answer)
