"""The client of an MLflow store: quiet, with short waits, and with Linnet's errors.

MLflow tries an unreachable server for minutes, sends usage data and draws progress bars, unless it
is asked not to. Two processes that make a new SQLite store at once fail, so the first call is
locked.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from urllib.parse import urlsplit

from linnet.config import TrackConfig
from linnet.errors import (
    ConfigError,
    LinnetError,
    MissingExtraError,
    ServiceError,
    StorageError,
    UsageError,
)
from linnet.files import locked

QUIET = {
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
for _name, _value in QUIET.items():
    os.environ.setdefault(_name, _value)  # MLflow reads them when it is imported, or later

try:
    from mlflow import MlflowClient
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError
except ModuleNotFoundError as error:
    raise MissingExtraError(error.name or "mlflow-skinny", "track") from None

DEFAULT_URI = "sqlite:///mlflow.db"
SQLITE = "sqlite:///"
ARTIFACTS = "mlartifacts"
# Codes of MLflow's errors that say that the server could not be asked.
UNREACHABLE = {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE", "REQUEST_LIMIT_EXCEEDED"}


class Store:
    """An MLflow store, and one experiment in it.

    Args:
        settings: The section `[track]`.

    Attributes:
        client: MLflow's own client.
        address: Where the store is.
        uri: The same as messages may show it: without a password.

    Raises:
        ConfigError: The address is of no kind that MLflow has.
        ServiceError: The server can't be reached in `track.timeout` seconds.
        UsageError: The store is another version's, or not MLflow's.
    """

    def __init__(self, settings: TrackConfig):
        address = tracking_uri(settings)
        self.uri = without_password(address)
        self._artifacts = settings.artifacts
        self.address = address
        os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(settings.timeout)
        for noisy in ("mlflow", "alembic"):
            logging.getLogger(noisy).setLevel(logging.WARNING)
        with self.errors(), _alone(address):
            self.client = MlflowClient(tracking_uri=address, registry_uri=address)
            self.client.search_experiments(max_results=1)  # makes a new SQLite store's tables

    def experiment(self, name: str) -> str:
        """The id of an experiment, which is made if there is none of the name.

        Raises:
            UsageError: Somebody deleted the experiment.
        """
        with self.errors(), _alone(self.address):
            found = self.client.get_experiment_by_name(name)
            if found is None:
                made: str = self.client.create_experiment(name, self._artifact_root())
                return made
        if found.lifecycle_stage == "deleted":
            raise UsageError(
                f"The experiment {name!r} of {self.uri} is deleted. Restore it, or name another "
                "with track.model."
            )
        return str(found.experiment_id)

    def download(self, artifact_uri: str, folder: Path) -> Path:
        """Download a folder of artefacts into another folder; where it is then."""
        with self.errors():
            path = download_artifacts(
                artifact_uri=artifact_uri, dst_path=str(folder), tracking_uri=self.address
            )
        return Path(path)

    def _artifact_root(self) -> str | None:
        if self._artifacts:
            return self._artifacts
        if not self.address.startswith(SQLITE):
            return None  # a server says where
        database = Path(self.address.removeprefix(SQLITE))
        return (database.absolute().parent / ARTIFACTS).as_uri()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raise Linnet's errors in place of MLflow's while the block runs.

        Raises:
            ServiceError: The store can't be reached.
            StorageError: The disk is full.
            UsageError: The store refuses what was asked.
        """
        try:
            yield
        except LinnetError:
            raise
        except RequestException as error:
            raise self._unreachable(type(error).__name__) from None
        except SQLAlchemyError as error:
            raise self._unusable(str(getattr(error, "orig", None) or error)) from None
        except MlflowException as error:
            if error.error_code in UNREACHABLE:
                raise self._unusable(error.message) from None
            raise UsageError(
                f"The store {self.uri} refuses: {_first_line(error.message)}"
            ) from None
        except OSError as error:
            raise StorageError(
                f"The artefacts of the store {self.uri} can't be read or written: {error.strerror}."
            ) from None

    def _unusable(self, reason: str) -> LinnetError:
        if "database or disk is full" in reason:
            return StorageError(
                f"There is no room for the store {self.uri}. Free some, and repeat."
            )
        if "database schema" in reason:
            return UsageError(
                f"The store {self.uri} was made by another version of MLflow: "
                f"{_first_line(reason)} Use that version, or a new store."
            )
        if "file is not a database" in reason:
            return UsageError(f"{self.uri} is no SQLite database. Name another with track.uri.")
        return self._unreachable(_first_line(reason))

    def _unreachable(self, reason: str) -> ServiceError:
        reason = reason.replace(self.address, self.uri)  # which has no password
        return ServiceError(
            "tracking_store_failed",
            f"The tracking store {self.uri} can't be used now: {reason:.300} Nothing of the run is "
            "lost. Repeat the command when the store works.",
        )


def tracking_uri(settings: TrackConfig) -> str:
    """The address of the store: MLFLOW_TRACKING_URI, else `track.uri`, else an SQLite file here.

    Raises:
        ConfigError: It is of no kind that can be used.
    """
    address = os.environ.get("MLFLOW_TRACKING_URI") or settings.uri or DEFAULT_URI
    scheme = urlsplit(address).scheme
    if scheme not in {"sqlite", "http", "https", "postgresql", "mysql"}:
        raise ConfigError(
            f"Expected sqlite:///FILE or the URL of an MLflow server for track.uri; got "
            f"{without_password(address)!r}."
        )
    return address


def without_password(address: str) -> str:
    """An address as messages show it."""
    parts = urlsplit(address)
    if "@" not in parts.netloc:
        return address
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _alone(address: str) -> "nullcontext[bool]":
    """Keep other processes from making the tables of the same SQLite file."""
    if not address.startswith(SQLITE):
        return nullcontext(True)
    file = Path(address.removeprefix(SQLITE)).absolute()
    file.parent.mkdir(parents=True, exist_ok=True)
    return locked(file.with_name(f"{file.name}.lock"))  # type: ignore[return-value]


def _first_line(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return line if line.endswith(".") else f"{line}."
