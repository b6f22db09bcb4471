"""Did no compared model learn from the judged rows? Only then may the same rows judge them all."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from linnet.bundle import Manifest
from linnet.data.card import NAME as CARD
from linnet.files import digest
from linnet.track.gate import Line

TEST = "test.parquet"


def held_out_alike(splits: Path, others: Mapping[str, Manifest]) -> Line:
    """Pass if each other model was made from these splits, or from ones that these grew out of.

    `linnet prepare` keeps old rows in their split. So a model of earlier splits learnt from no row
    that is a test row now.

    Args:
        splits: The candidate's splits, whose test rows are judged.
        others: Manifests of the models that are compared with it, by title.
    """
    test = digest(splits / TEST)
    ancestors = _ancestors(splits / CARD)
    for title, manifest in others.items():
        data = manifest.lineage.get("data") or {}
        if (data.get("splits") or {}).get(TEST) == test:
            continue
        card = data.get("card_sha256")
        if card is not None and card in ancestors:
            continue
        return Line(
            "held_out",
            False,
            f"the {title} was made from other splits, so it may have learnt from these test rows. "
            "Prepare in the folder that its splits were in, with data.keep_splits, and train "
            "again; or judge both on a file that neither saw.",
        )
    return Line("held_out", True, "no compared model learnt from the test rows.")


def _ancestors(card: Path) -> set[str]:
    try:
        content: dict[str, Any] = json.loads(card.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    since = content.get("since") or {}
    return {digest(card), since.get("card_sha256"), *since.get("ancestors", ())} - {None}
