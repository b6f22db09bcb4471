"""A bundle and a file of any size to its rows with predictions. Knows nothing of how a model was made, or of HTTP."""

from linnet.score.job import Scored, score

__all__ = ["Scored", "score"]
