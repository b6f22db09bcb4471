"""Warnings from the audit, each with advice."""

from typing import Any

from linnet.data.audit.words import is_artefact

TRUNCATED = 0.05  # of the texts
UNKNOWN = 0.02  # of the tokens
LANGUAGE = 0.05  # of the texts, in another language than the most frequent


def warnings_of(audit: dict[str, Any], split_by_time: bool) -> list[str]:
    """Warnings as sentences, the most serious first.

    Args:
        audit: The findings, from `examine`.
        split_by_time: Whether the splits are meant to differ.
    """
    return [
        *_columns(audit["columns"]),
        *_words(audit["words"]),
        *_distribution(audit["distribution"], split_by_time),
        *_tokens(audit["tokens"]),
        *_language(audit["language"]),
    ]


def _columns(found: dict[str, Any]) -> list[str]:
    sentences = []
    for column in found["columns"]:
        if column["verdict"] != "leaks":
            continue
        part = column.get("part")
        where = (
            f" Where it is {part['where']}, {_percent(part['share'])} of {part['rows']:,} "
            f"sampled rows are {part['label']!r}."
            if part
            else ""
        )
        sentences.append(
            f"The column {column['name']!r} leaks the label. Alone it predicts the label of "
            f"{_percent(column['accuracy'])} of rows "
            f"(largest class: {_percent(found['majority'])}).{where} "
            "Don't train on it. The texts may leak the same: "
            + (
                "--split-by shows how well a model does on later rows."
                if column["kind"] == "date"
                else "check how the labels were made."
            )
        )
    return sentences


def _words(found: dict[str, Any]) -> list[str]:
    return [
        f"The token {token['token']!r} nearly gives the label away. "
        f"Of {token['rows']:,} sampled texts with it, "
        f"{_percent(token['share'])} are {token['label']!r}. "
        "If the labels were made from it, remove it from the texts."
        for token in found["top"]
        if is_artefact(token)
    ]


def _distribution(found: dict[str, Any], split_by_time: bool) -> list[str]:
    if split_by_time:
        return []
    sentences = []
    for split, measures in found.items():
        different = [name for name in ("classes", "lengths", "words") if measures[name]["differs"]]
        if different:
            sentences.append(
                f"The {split} split differs from train by more than chance in its "
                f"{' and '.join(different)}. "
                "A few large groups, which stay together, may be the cause."
            )
    return sentences


def _tokens(found: dict[str, Any]) -> list[str]:
    train = found["splits"].get("train")
    if train is None:
        return []
    sentences = []
    if train["truncated"] >= TRUNCATED:
        sentences.append(
            f"{_percent(train['truncated'])} of train texts are longer than model.max_length = "
            f"{found['max_length']} tokens and are cut. 95 of 100 have at most {train['p95']}."
        )
    if train["unknown"] is not None and train["unknown"] >= UNKNOWN:
        sentences.append(
            f"The tokenizer doesn't know {_percent(train['unknown'])} of the tokens "
            "in train texts. "
            "Choose an encoder for their language."
        )
    return sentences


def _language(found: dict[str, Any]) -> list[str]:
    first, *others = [*found["languages"].items()] or [("", 0.0)]
    share = sum(share for _, share in others) + found["other"]
    if share < LANGUAGE:
        return []
    return [
        f"{_percent(share)} of sampled texts seem to be in other languages than {first[0]!r}: "
        f"{', '.join(f'{code} {_percent(share)}' for code, share in others[:3])}. "
        "An encoder for one language knows little of the others."
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
