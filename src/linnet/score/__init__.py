"""Add a bundle's predictions to the rows of a file of any size.

Knows nothing of training or of HTTP.
"""

from linnet.score.job import Scored, score

__all__ = ["Scored", "score"]
