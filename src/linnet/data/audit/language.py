"""Guess the languages of the texts with py3langid (naive Bayes on byte n-grams, 139 languages).

A guess from a few words is worth little, so the card shows how many texts were very short.
"""

import re
from collections import Counter
from functools import cache
from typing import Any

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from linnet.data.audit.sample import Sample

ROWS = 2000
CHARACTERS = 1000  # of a text; more do not change the guess
UNSURE = 0.5  # probability below which the guess doesn't count
SHORT = 20  # characters
LISTED = 10
# These belong to no language.
NO_LANGUAGE = re.compile(r"@\w+|(?:https?://|www\.)\S+")


def examine_language(sample: Sample) -> dict[str, Any]:
    """Guess the language of a few texts.

    Args:
        sample: Train rows.

    Returns:
        `rows` checked, and shares of them: by language code in `languages` (at most 10, the most
        frequent first), the rest as `other`, `unsure`, and `short` for under 20 characters.
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
    # The package's own identifier is shared, and its scores are not probabilities. This one is
    # cached, because loading takes a while.
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True, min_confidence=UNSURE)
