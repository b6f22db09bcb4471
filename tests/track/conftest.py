"""Finished runs of small bundles, and an SQLite store of the test's own."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from linnet.config import Config, load_config
from linnet.data import prepare
from linnet.evaluate import evaluate
from linnet.files import digest
from linnet.track.store import Store

from ..conftest import make_rows, write_csv
from ..evaluate.conftest import write_bundle

# MLflow 3.17 itself uses what SQLAlchemy and pydantic will remove.
MLFLOWS_OWN = (
    "ignore:The ``noload`` loader strategy is deprecated",
    "ignore::DeprecationWarning:mlflow",
)
ROWS = 4000
TEST_ROWS = 2000

MakeRun = Callable[..., Path]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for ignored in MLFLOWS_OWN:
                item.add_marker(pytest.mark.filterwarnings(ignored))


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    """No store of the machine, and none that another test has made."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def many_splits(tmp_path_factory) -> Path:
    """Splits with 2,000 test rows."""
    folder = tmp_path_factory.mktemp("many")
    write_csv(folder / "texts.csv", make_rows(ROWS, seed=5))
    sizes = {"data.source": str(folder / "texts.csv"), "data.test_size": TEST_ROWS}
    sizes |= {"data.validation_size": 1850}  # few rows are left to learn from, so TF-IDF is weak
    prepare(load_config(overrides=sizes | {"data.noise_sample": 0}), folder / "splits")
    return folder / "splits"


@pytest.fixture(scope="session")
def make_run(tmp_path_factory, tokenizer_path, many_splits) -> MakeRun:
    """Makes the folder of a finished run; options are those of `write_bundle`."""
    numbers = iter(range(1000))

    def make(splits: Path = many_splits, **options) -> Path:
        folder = tmp_path_factory.mktemp("run") / f"run{next(numbers)}"
        folder.mkdir()
        lineage = {
            "data": {
                "source": {"name": "texts.csv"},
                "splits": {file.name: digest(file) for file in sorted(splits.glob("*.parquet"))},
                "card_sha256": digest(splits / "data_card.json"),
            },
            "training": {"git": {"commit": "c" * 40, "branch": "main", "dirty": False}},
            **options.pop("lineage", {}),
        }
        made = write_bundle(folder / "bundle", tokenizer_path, lineage=lineage, **options)
        settings = {"evaluate.bootstrap_resamples": 100, "predict.num_threads": 1}
        evaluate(load_config(overrides=settings), made.path, splits, folder / "report")
        return folder

    return make


@pytest.fixture(scope="session")
def good_run(make_run) -> Path:
    return make_run(temperature=1.35)


@pytest.fixture(scope="session")
def equal_run(make_run) -> Path:
    """Another digest with the same answers."""
    return make_run(temperature=1.36)


@pytest.fixture(scope="session")
def worse_run(make_run) -> Path:
    return make_run(temperature=1.35, bias=(2.0, 0.0))


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory) -> Path:
    """A store that MLflow has made, which takes seconds."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    Store(load_config(overrides={"track.uri": f"sqlite:///{path}"}).track)
    return path


@pytest.fixture
def config(tmp_path, empty_store) -> Config:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return load_config(
        overrides={
            "track.uri": f"sqlite:///{tmp_path}/mlflow.db",
            "predict.num_threads": 1,
            "promote.max_slowdown": 50.0,  # the machine of a test is busy
        }
    )
