"""Which languages the texts are in, as py3langid guesses (naive Bayes over byte n-grams, 139 labels).

A guess from a few words is worth little: the card says how many texts were too short to tell.
"""

import re
from collections import Counter
from functools import cache
from typing import Any

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from linnet.data.audit.sample import Sample

ROWS = 2000
CHARACTERS = 1000  # of a text; more don't change the guess
UNSURE = 0.5  # probability below which the guess doesn't count
SHORT = 20  # characters
LISTED = 10
# They are in no language, or all in one.
NO_LANGUAGE = re.compile(r"@\w+|(?:https?://|www\.)\S+")


def examine_language(sample: Sample) -> dict[str, Any]:
    """Guess the language of a few texts.

    Args:
        sample: Train rows.

    Returns:
        `rows` looked at, the share of them by language code in `languages`, the most frequent first and at most 10,
        the share `other` of the rest, the share `unsure`, and the share `short` of texts under 20 characters.
    """
    identifier = _identifier()
    texts = [
        NO_LANGUAGE.sub("", text)[:CHARACTERS]
        for text in sample.table["text"].slice(0, ROWS).to_pylist()
    ]
    found = Counter(identifier.classify(text)[0] for text in texts)
    unsure = found.pop("und", 0)
    top = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:LISTED]
    rows = max(len(texts), 1)
    return {
        "rows": len(texts),
        "languages": {code: round(count / rows, 4) for code, count in top},
        "other": round((found.total() - sum(count for _, count in top)) / rows, 4),
        "unsure": round(unsure / rows, 4),
        "short": round(sum(len(text.strip()) < SHORT for text in texts) / rows, 4),
    }


@cache
def _identifier() -> LanguageIdentifier:
    # Beside the package's own, which is shared and whose scores are no probabilities; unpacking it takes a while.
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True, min_confidence=UNSURE)
