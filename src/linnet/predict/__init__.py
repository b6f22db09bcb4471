"""Bundle to answers:

engine, batching, classifier. Knows nothing of how a model was made, or of HTTP.
"""

from linnet.predict.classifier import Classifier, load
from linnet.predict.codec import Prediction
from linnet.predict.decision import MultiLabel, SingleLabel, Task, sigmoid, softmax, task_of
from linnet.predict.explain import Explanation, Word

__all__ = [
    "Classifier",
    "Explanation",
    "MultiLabel",
    "Prediction",
    "SingleLabel",
    "Task",
    "Word",
    "load",
    "sigmoid",
    "softmax",
    "task_of",
]
