"""Splits for the tests of training."""

from pathlib import Path

import pyarrow as pa
import pytest

from linnet.config import Config, load_config
from linnet.data import prepare
from linnet.data.split.files import SplitWriter


@pytest.fixture(scope="session")
def splits(tmp_path_factory: pytest.TempPathFactory, labelled_csv: Path) -> Path:
    """What `linnet prepare` makes of the labelled rows."""
    directory = tmp_path_factory.mktemp("train") / "splits"
    prepare(load_config(overrides={"data.source": str(labelled_csv)}), directory)
    return directory


@pytest.fixture
def settings(encoder: Path):
    """The reference recipe, on the tiny encoder, at a learning rate that suits it."""

    def resolve(**train) -> Config:
        model = {"model.name_or_path": str(encoder), "model.max_length": 64}
        return load_config(
            overrides=model
            | {"train.learning_rate": 2e-2}
            | {f"train.{k}": v for k, v in train.items()}
        )

    return resolve


@pytest.fixture(scope="session")
def write_splits():
    """Write splits by hand: label names and rows of each."""

    def write(
        directory: Path, labels: dict[str, list[str]], rows: dict[str, list[tuple[str, int]]]
    ) -> Path:
        directory.mkdir(parents=True, exist_ok=True)
        for name, names in labels.items():
            texts, ids = zip(*rows[name], strict=True) if rows[name] else ((), ())
            with SplitWriter(directory, name, ["text", "label"], names) as writer:
                writer.write(
                    pa.table(
                        {"text": pa.array(texts, pa.string()), "label": pa.array(ids, pa.int64())}
                    )
                )
        return directory

    return write
