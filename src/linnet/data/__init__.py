"""Raw file to audited, leak-proof splits, with a card that accounts for every row.

Reads CSV, TSV, JSON lines and Parquet. Writes three Parquet files, data_card.json and
data_card.html.
Knows nothing of models.
"""

from linnet.errors import MissingExtraError

try:
    import jinja2  # noqa: F401
    import matplotlib  # noqa: F401
    import pyarrow  # noqa: F401
except ModuleNotFoundError as error:
    raise MissingExtraError(error.name or "pyarrow", "train") from error

from linnet.data.compare import compare, read_card
from linnet.data.prepare import prepare
from linnet.data.split.files import Split, read_split
from linnet.data.unlabelled import Unlabelled, read_unlabelled

__all__ = [
    "Split",
    "Unlabelled",
    "compare",
    "prepare",
    "read_card",
    "read_split",
    "read_unlabelled",
]
