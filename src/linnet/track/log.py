"""A finished run to the store: the run, its figures and files, and the bundle as its model."""

import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version as version_of
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from mlflow.entities import (  # after the store, which asks MLflow to be quiet
    Dataset,
    DatasetInput,
    InputTag,
    Metric,
    Param,
)

from linnet.bundle import HOST, Bundle
from linnet.config import TrackConfig
from linnet.track.finished_run import FinishedRun
from linnet.track.registry import DIGEST, Registry, Version
from linnet.track.store import Store

AT_ONCE = 100  # parameters that a request takes
CONTEXTS = {"train": "training", "validation": "validation", "test": "testing"}
CHALLENGER = "challenger"
LOADER = "linnet.track.pyfunc"
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tracked:
    """A run in the store.

    Attributes:
        run_id: Its id.
        version: The registered version of its bundle.
        is_new: False where the store had this bundle already.
    """

    run_id: str
    version: Version
    is_new: bool


def track(run: FinishedRun, settings: TrackConfig, name: str) -> Tracked:
    """Log a finished run and register its bundle. The same bundle twice is one version.

    Args:
        run: The run.
        settings: The section `[track]`.
        name: The experiment's and the registered model's name.

    Raises:
        ServiceError: The store can't be reached; nothing of the run is lost.
        StorageError: The store has no room.
        UsageError: The store refuses the name, or is another version's.
    """
    store = Store(settings)
    registry = Registry(store, name)
    known = registry.by_digest(run.bundle.digest)
    if known is not None:
        return Tracked(known.run_id, known, is_new=False)
    experiment = store.experiment(name)
    with store.errors():
        run_id = _log_run(store, experiment, run)
        model_id = _log_model(store, experiment, run_id, run.bundle)
        store.client.set_terminated(run_id, "FINISHED")
    version = registry.register(model_id, run_id, run.tags())
    registry.set_alias(CHALLENGER, version)
    return Tracked(run_id, version, is_new=True)


def _log_run(store: Store, experiment: str, run: FinishedRun) -> str:
    client = store.client
    _close_abandoned(store, experiment, run.bundle.digest)
    tags = {**run.tags(), "mlflow.source.name": "linnet", "mlflow.source.type": "LOCAL"}
    made = client.create_run(experiment, run_name=run.bundle.manifest.name, tags=tags)
    run_id = str(made.info.run_id)
    for batch in _batches([Param(*pair) for pair in run.parameters().items()]):
        client.log_batch(run_id, params=batch)
    now = int(time.time() * 1000)
    figures = [Metric(name, value, now, step) for name, value, step in run.metrics()]
    for part in _batches(figures, 500):
        client.log_batch(run_id, metrics=part)
    client.log_inputs(run_id, datasets=[_dataset(*entry) for entry in run.datasets()])
    for path, folder in run.files():
        client.log_artifact(run_id, str(path), folder or None)
    return run_id


def _close_abandoned(store: Store, experiment: str, digest: str) -> None:
    """End the runs of the same bundle that a killed process has left open."""
    wanted = f"tags.`{DIGEST}` = '{digest}' and attributes.status = 'RUNNING'"
    for old in store.client.search_runs([experiment], wanted):
        store.client.set_terminated(old.info.run_id, "KILLED")


def _dataset(name: str, sha256: str, source: str) -> DatasetInput:
    dataset = Dataset(name=name, digest=sha256[:36], source_type="linnet", source=source)
    tags = [InputTag("mlflow.data.context", CONTEXTS[name]), InputTag("linnet.sha256", sha256)]
    return DatasetInput(dataset, tags)


def _log_model(store: Store, experiment: str, run_id: str, bundle: Bundle) -> str:
    client = store.client
    model = client.create_logged_model(
        experiment, name=bundle.manifest.name, source_run_id=run_id, model_type="linnet"
    )
    model_id = str(model.model_id)
    with tempfile.TemporaryDirectory(prefix="linnet-track-") as name:
        folder = Path(name)
        (folder / "bundle").mkdir()
        for path in bundle.path.iterdir():
            if path.name != HOST:  # the measured plans of this host are not the model's
                (folder / "bundle" / path.name).symlink_to(path.absolute())
        description = _mlmodel(bundle, model_id, run_id)
        (folder / "MLmodel").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        (folder / "requirements.txt").write_text(
            f"linnet-text=={version_of('linnet-text')}\n", encoding="utf-8"
        )
        client.log_model_artifacts(model_id, str(folder))
    client.finalize_logged_model(model_id, "READY")
    return model_id


def _mlmodel(bundle: Bundle, model_id: str, run_id: str) -> dict[str, Any]:
    """MLmodel: JSON is YAML, and a loader's name is where others keep a pickle.

    The signature's input has no name, because MLflow refuses plain lists where it has one.
    """
    return {
        "model_id": model_id,
        "model_uuid": model_id,
        "run_id": run_id,
        "utc_time_created": bundle.manifest.created.replace("T", " ").removesuffix("+00:00"),
        "mlflow_version": version_of("mlflow-skinny"),
        "signature": {"inputs": json.dumps([{"type": "string", "required": True}])},
        "flavors": {
            "python_function": {
                "loader_module": LOADER,
                "data": "bundle",
                "python_version": ".".join(map(str, sys.version_info[:3])),
                "env": {"virtualenv": "requirements.txt"},
            },
            "linnet": {"digest": bundle.digest, "format": bundle.manifest.format},
        },
    }


def _batches(items: Sequence[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
