"""Find single tokens that nearly give the label away, such as an emoticon or an agency's name.

Knows no language: a token is a word, an emoticon or a punctuation mark. Only the token is shown.
Names, links and long numbers are replaced by their kind.
"""

import re
from typing import Any

import numpy as np
import pyarrow as pa

from linnet.data.audit.certain import is_near_certain, lower_bound
from linnet.data.audit.sample import Sample

ROWS = 30_000
CHARACTERS = 3_000_000
FEWEST_ROWS = 20
SUPPORT = 0.001  # least share of texts with a token
LISTED = 20
LONGEST = 30  # characters; a longer token is no word
OF_LABEL = 0.2  # of a label's rows; a word in so many was likely added, not written
LINK = re.compile(r"https?://|www\.")
TOKEN = re.compile(
    r"""
      @\w+ | (?:https?://|www\.)\S+
    | (?<!\w)(?: [:;=8][-'^o]?[)(\]\[dp/\\|*3]+ | [:;=]'?-?o | xd+ ) (?!\w)   # :) ;-( =d 8) xd
    | <+/?3+ | \^_*\^ | \#\w+
    | \w+(?:['’]\w+)*
    | !+ | \?+ | \.+ | [^\w\s]
    """,
    re.VERBOSE,
)
NUMBER = re.compile(r"\d{5,}")


def examine_words(sample: Sample) -> dict[str, Any]:
    """Look for tokens whose rows nearly all have one label.

    A token's share has a lower bound (Clopper and Pearson, corrected for all tokens and labels). By
    chance, one data set in a hundred has a flagged token.

    Args:
        sample: Train rows.

    Returns:
        `rows` and `tokens` tested, and `top`, the 20 tokens with the highest bound. Each has its
        `token`, the number of `rows` with it, their most frequent `label`, its `share` and the
        lower `bound` of the share, the share `of_label` of that label's rows that have the token,
        and whether it is `near_certain`.
    """
    texts = sample.texts(ROWS, CHARACTERS)
    members = sample.members[: len(texts)]
    tokens, row, token = _occurrences(texts)
    support = np.bincount(token, minlength=len(tokens))
    looked_at = np.flatnonzero(support >= max(FEWEST_ROWS, SUPPORT * len(texts)))
    place = np.full(len(tokens), -1)
    place[looked_at] = np.arange(len(looked_at))
    kept = place[token] >= 0
    counts = np.zeros((len(looked_at), members.shape[1]), dtype=np.int64)
    for label in range(members.shape[1]):
        with_label = kept & members[row, label]
        counts[:, label] = np.bincount(place[token[with_label]], minlength=len(looked_at))
    base = members.mean(axis=0) if len(members) else np.zeros(members.shape[1])
    bounds = lower_bound(counts, support[looked_at][:, None], counts.size)
    # A bound of 0.9 is high for a rare label, and nothing for a label with 0.9 of all rows.
    label = (bounds - base).argmax(axis=1)
    bound = bounds[np.arange(len(label)), label]
    near_certain = is_near_certain(bound, base[label])
    order = np.lexsort((looked_at, -(bound - base[label]), ~near_certain))[:LISTED]
    return {
        "rows": len(texts),
        "tokens": len(looked_at),
        "near_certain": int(near_certain.sum()),
        "top": [
            {
                "token": tokens[looked_at[index]],
                "rows": int(support[looked_at[index]]),
                "label": sample.label_names[label[index]],
                "share": round(float(counts[index, label[index]] / support[looked_at[index]]), 4),
                "bound": round(float(bound[index]), 4),
                "of_label": round(
                    float(counts[index, label[index]] / members[:, label[index]].sum()), 4
                ),
                "near_certain": bool(near_certain[index]),
            }
            for index in order.tolist()
        ],
    }


def is_artefact(found: dict[str, Any]) -> bool:
    """Whether the labels were probably made from a near-certain token."""
    return bool(found["near_certain"]) and (
        found["of_label"] >= OF_LABEL or not found["token"][0].isalnum()
    )


def tokens_of(text: str) -> set[str]:
    """The tokens of a text, each once, in lower case."""
    found = {_shown(token) for token in TOKEN.findall(text.lower())}
    return {token for token in found if len(token) <= LONGEST and token.isprintable()}


def _shown(token: str) -> str:
    if len(token) == 1:
        return token
    if token[0] == "@":
        return "@user"
    if LINK.match(token):
        return "<link>"
    if NUMBER.search(token):
        return "<number>"
    return token[0] * 2 if token[0] in "!?." else token  # however many


def _occurrences(texts: list[str]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Tokens by id, and for each token of each text the row and the id, int (m,)."""
    sets = [tokens_of(text) for text in texts]
    row = np.repeat(np.arange(len(sets)), [len(tokens) for tokens in sets])
    # Sets come in any order; sorted ones give the same ids on every run.
    encoded = pa.array(
        [token for tokens in sets for token in sorted(tokens)], pa.string()
    ).dictionary_encode()
    return encoded.dictionary.to_pylist(), row, encoded.indices.to_numpy().astype(np.int64)
