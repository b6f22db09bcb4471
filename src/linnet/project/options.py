"""The few values that templates are filled with, checked so that no value can leave its place."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from linnet.errors import UsageError
from linnet.printable import printable

GENERATED = "generated"
LOCAL_STORE = "../dvc-store"  # from .dvc, where DVC begins a relative path
SQLITE = "sqlite:///mlflow.db"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# A letter, digit or mark that means nothing to TOML, INI, YAML, Markdown and a shell.
LOCATION = re.compile(r"[\w.~/:@+=?&\[\]-]+")
NOT_SAFE = re.compile(r"[^A-Za-z0-9._-]+")
TRACKING = {"sqlite", "http", "https", "postgresql", "mysql"}


@dataclass(frozen=True)
class Options:
    """What a project is made from.

    Attributes:
        name: Of the run and of the registered model.
        source: Path of the data in the project, or "generated".
        remote: Where DVC keeps data and results: a path, or s3://BUCKET/PATH.
        tracking: URI of the MLflow store.
    """

    name: str
    source: str = GENERATED
    remote: str = LOCAL_STORE
    tracking: str = SQLITE

    @classmethod
    def parse(
        cls,
        name: str,
        data: Path | None = None,
        remote: str | None = None,
        tracking: str | None = None,
    ) -> "Options":
        """Check what a user has typed.

        Raises:
            UsageError: A value can't be used; the sentence says what can.
        """
        return cls(
            _name(name),
            GENERATED if data is None else f"data/{_safe(data.name)}",
            LOCAL_STORE if remote is None else _remote(remote),
            SQLITE if tracking is None else _tracking(tracking),
        )

    @property
    def has_data(self) -> bool:
        """Whether the data are a file of the project."""
        return self.source != GENERATED


def _name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{printable(name)!r} can't be the name of a project. Take at most 64 letters, digits, "
            "dots, dashes and underscores, and begin with a letter or digit."
        )
    return name


def _safe(name: str) -> str:
    """A file's name with each run of other characters as one dash; its suffixes are kept."""
    stem, dot, suffixes = name.lstrip(".").partition(".")
    return (NOT_SAFE.sub("-", stem).strip("-") or "data") + dot + NOT_SAFE.sub("-", suffixes)


def _remote(remote: str) -> str:
    location = _location(remote, "--remote")
    scheme = _scheme(location)
    if not scheme:
        return os.path.abspath(Path(location).expanduser())
    if scheme != "s3":
        raise UsageError(
            f"--remote takes a path or s3://BUCKET/PATH, not {scheme}://. For another store, leave "
            "it out, change .dvc/config, and name DVC's package for it in requirements.txt."
        )
    if not urlsplit(location).netloc:
        raise UsageError("--remote names no bucket. Say s3://BUCKET/PATH.")
    return location


def _tracking(uri: str) -> str:
    location = _location(uri, "--tracking")
    scheme = _scheme(location)
    if scheme not in TRACKING:
        raise UsageError(
            f"--tracking takes sqlite:///FILE or the URL of a server, not {location!r}."
        )
    return location


def _location(text: str, flag: str) -> str:
    if not LOCATION.fullmatch(text) or not text.isprintable():
        raise UsageError(
            f"{flag} has a character that can't be in the files of a project: "
            f"{printable(text)!r}. Take letters, digits and . ~ / : @ + = ? & [ ] - _ only."
        )
    try:
        secret = urlsplit(text).password is not None
    except ValueError:
        raise UsageError(f"{flag} is no URL: {text!r}.") from None
    if secret:
        raise UsageError(
            f"{flag} has a password in it, and the files of a project are kept in git. Leave it "
            "out, and give it by the environment (MLFLOW_TRACKING_PASSWORD, AWS_PROFILE)."
        )
    return text


def _scheme(location: str) -> str:
    """Of a URL, without the driver such as in postgresql+psycopg; empty for a path."""
    return location.partition("://")[0].partition("+")[0].lower() if "://" in location else ""
