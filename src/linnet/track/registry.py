"""Versions of a registered model, by the digest of their bundle; aliases and tags."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mlflow.exceptions import MlflowException

from linnet.errors import UsageError
from linnet.track.store import Store

DIGEST = "linnet.digest"
ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,60}")
MISSING = {"RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"}


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version.

    Attributes:
        name: Of the model.
        number: Of the version; a text, as servers differ.
        digest: Of its bundle, as the registry has it; "" where the version is not Linnet's.
        run_id: The run that logged it.
        model_id: The logged model that holds its files.
        tags: All tags.
    """

    name: str
    number: str
    digest: str
    run_id: str
    model_id: str
    tags: Mapping[str, str]


class Registry:
    """The versions of one registered model.

    Args:
        store: The store.
        name: The model's name.
    """

    def __init__(self, store: Store, name: str):
        self._store = store
        self.name = name

    def by_digest(self, digest: str) -> Version | None:
        """The version of a bundle; None if it was never registered."""
        wanted = f"name = '{_quoted(self.name)}' and tags.`{DIGEST}` = '{digest}'"
        with self._store.errors():
            found = self._store.client.search_model_versions(wanted)
        return self._version(found[0]) if found else None

    def by_alias(self, alias: str) -> Version | None:
        """The version that has an alias; None if none has."""
        with self._store.errors():
            try:
                found = self._store.client.get_model_version_by_alias(self.name, alias)
            except MlflowException as error:
                if error.error_code in MISSING:
                    return None
                raise
        return self._version(found)

    def by_number(self, number: str) -> Version:
        """A version by its number.

        Raises:
            UsageError: There is none.
        """
        with self._store.errors():
            try:
                return self._version(self._store.client.get_model_version(self.name, number))
            except MlflowException as error:
                if error.error_code in MISSING:
                    raise UsageError(
                        f"The model {self.name!r} of {self._store.uri} has no version {number}."
                    ) from None
                raise

    def register(self, model_id: str, run_id: str, tags: Mapping[str, str]) -> Version:
        """Make a version of a logged model."""
        client = self._store.client
        with self._store.errors():
            try:
                client.create_registered_model(self.name)
            except MlflowException as error:
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
            made = client.create_model_version(
                self.name, f"models:/{model_id}", run_id=run_id, tags=dict(tags), model_id=model_id
            )
        return self._version(made)

    def set_alias(self, alias: str, version: Version) -> None:
        """Move an alias to a version, or make it."""
        with self._store.errors():
            self._store.client.set_registered_model_alias(self.name, alias, version.number)

    def tag(self, version: Version, key: str, value: str) -> None:
        """Set a tag of a version."""
        with self._store.errors():
            self._store.client.set_model_version_tag(self.name, version.number, key, value)

    def model_tag(self, key: str) -> str | None:
        """A tag of the model itself; None without one."""
        with self._store.errors():
            found: str | None = self._store.client.get_registered_model(self.name).tags.get(key)
        return found

    def set_model_tag(self, key: str, value: str) -> None:
        """Set a tag of the model itself."""
        with self._store.errors():
            self._store.client.set_registered_model_tag(self.name, key, value)

    def _version(self, found: object) -> Version:
        tags: dict[str, str] = dict(getattr(found, "tags", None) or {})
        model_id = getattr(found, "model_id", None) or str(
            getattr(found, "source", "")
        ).removeprefix("models:/")
        return Version(
            self.name,
            str(getattr(found, "version", "")),
            tags.get(DIGEST, ""),
            str(getattr(found, "run_id", "") or ""),
            str(model_id),
            tags,
        )


def check_alias(alias: str) -> str:
    """An alias that MLflow takes.

    Raises:
        UsageError: It doesn't.
    """
    if (
        not ALIAS.fullmatch(alias)
        or alias.lower() == "latest"
        or re.fullmatch(r"v\d+", alias.lower())
    ):
        raise UsageError(
            f"Expected an alias of letters, digits, _ and -, such as champion; got {alias!r:.80}."
        )
    return alias


def _quoted(name: str) -> str:
    return name.replace("'", "''")
