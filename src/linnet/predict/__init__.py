"""Bundle to answers:

engine, batching, classifier. Knows nothing of how a model was made, or of HTTP.
"""

from linnet.predict.classifier import Classifier, load
from linnet.predict.codec import Prediction
from linnet.predict.decision import decide, sigmoid, softmax, to_probabilities
from linnet.predict.explain import Explanation, Word

__all__ = [
    "Classifier",
    "Explanation",
    "Prediction",
    "Word",
    "decide",
    "load",
    "sigmoid",
    "softmax",
    "to_probabilities",
]
