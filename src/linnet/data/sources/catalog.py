"""Data sets by name: the addresses of their files, their place in the cache, their settings.

catalog.toml lists them. A name becomes a path and settings; the usual readers read that path.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from linnet.config import DataConfig
from linnet.data.sources import generate
from linnet.data.sources.fetch import Remote, RetryPolicy, fetch, is_there
from linnet.data.sources.listing import is_pattern
from linnet.errors import DataError, UsageError

CACHE = "LINNET_CACHE"
MIRROR = "LINNET_MIRROR"
EMPTY = ("", ())


@dataclass(frozen=True)
class Dataset:
    """A data set of the catalogue.

    Attributes:
        about: What it holds, in one line.
        licence: The terms that the publisher states, and what else is known about them.
        page: URL of its description.
        source: Path below the set's folder: a file, a member of an archive, or "" for the folder.
        settings: Settings of `[data]` that the files need.
        label_names: Names for labels that are numbers.
        files: Remote files by their names below the set's folder.
    """

    about: str
    licence: str
    page: str
    source: str
    settings: Mapping[str, Any]
    label_names: Mapping[str, str]
    files: Mapping[str, Remote]


@cache
def catalog() -> dict[str, Dataset]:
    """The sets of catalog.toml by name."""
    tables = tomllib.loads(files(__package__).joinpath("catalog.toml").read_text(encoding="utf-8"))
    return {name: _dataset(table) for name, table in tables.items()}


def resolve(
    settings: DataConfig,
    datasets: Mapping[str, Dataset] | None = None,
    retry: RetryPolicy | None = None,
) -> DataConfig:
    """Turn the name of a data set into the path of its files, and fetch missing ones.

    A name means the data set even if a file here has the same name. For the file, write ./NAME.

    Args:
        settings: Their `source` may be a name. Empty settings are filled in from the catalogue.
        datasets: Another catalogue.
        retry: Other waiting times than usual.

    Raises:
        DataError: The files can't be fetched, or the source is neither a name nor a path.
        StorageError: The disk refused a write.
        UsageError: The cache or the mirror can't be used.
    """
    datasets = catalog() if datasets is None else datasets
    if not isinstance(settings.source, str):
        _check_files(settings.source, datasets)
        return settings
    name = settings.source
    if name not in datasets:
        _check_exists(name, datasets)
        return settings
    folder = cache_folder() / name
    for place, remote in datasets[name].files.items():
        fetch(mirrored(remote), folder / place, retry)
    empty = {
        key: value
        for key, value in datasets[name].settings.items()
        if getattr(settings, key) in EMPTY
    }
    return DataConfig.model_validate(
        settings.model_dump() | empty | {"source": str(folder / datasets[name].source)}
    )


def origin(source: Path, datasets: Mapping[str, Dataset] | None = None) -> dict[str, Any]:
    """Describe a data set of the catalogue for the data card: name, terms and addresses.

    The result is empty for any other source.

    Args:
        source: The path from `resolve`. Other files in the set's folder are other sources.
        datasets: Another catalogue.
    """
    try:
        folder = cache_folder()
        name = next(iter(source.relative_to(folder).parts), "")
    except (UsageError, ValueError):
        return {}
    entry = (catalog() if datasets is None else datasets).get(name)
    if entry is None or source != folder / name / entry.source:
        return {}
    if not all(is_there(remote, folder / name / place) for place, remote in entry.files.items()):
        return {}
    terms = {"name": name, "about": entry.about, "licence": entry.licence, "page": entry.page}
    urls = [remote.url for remote in entry.files.values()]
    return {"known": {**terms, "urls": urls, "label_names": dict(entry.label_names)}}


def cache_folder() -> Path:
    """Folder of fetched files: data/ in $LINNET_CACHE, $XDG_CACHE_HOME/linnet or ~/.cache/linnet.

    Raises:
        UsageError: None is set, and this user has no home.
    """
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        if own := os.environ.get(CACHE):
            return Path(own).expanduser().absolute() / "data"
        # By its specification a relative one counts as none.
        return (shared if shared.is_absolute() else Path.home() / ".cache") / "linnet" / "data"
    except RuntimeError:
        raise UsageError(
            f"This user has no home for a cache. Name a folder with the variable {CACHE}."
        ) from None


def mirrored(remote: Remote) -> Remote:
    """The file at $LINNET_MIRROR, if that is set: the same path below another scheme and host.

    Raises:
        UsageError: The mirror is no address.
    """
    mirror = os.environ.get(MIRROR)
    if not mirror:
        return remote
    parts = urlsplit(mirror)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(
            f"{MIRROR} is {mirror!r}; expected an address such as https://mirror.example/data."
        )
    return replace(remote, url=mirror.rstrip("/") + urlsplit(remote.url).path)


def _check_files(names: Sequence[str], datasets: Mapping[str, Dataset]) -> None:
    name = next((name for name in names if name in datasets or name == generate.NAME), None)
    if name is not None:
        raise DataError(
            f"{name!r} is a data set by its name, and such a one is read alone. "
            f"Name it alone; a file that is called so is ./{name}."
        )


def _check_exists(name: str, datasets: Mapping[str, Dataset]) -> None:
    # The reader reports a path that does not exist.
    is_word = name.strip() and len(name) < 64 and Path(name).name == name and not Path(name).suffix
    if not is_word or name == generate.NAME or Path(name).exists():
        return
    if is_pattern(name):
        return
    near = difflib.get_close_matches(name, datasets, n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    raise DataError(
        f"{name!r} is neither a file here nor a known data set.{meant} "
        f"Known are: {', '.join(datasets)}, {generate.NAME}."
    )


def _dataset(table: Mapping[str, Any]) -> Dataset:
    return Dataset(
        about=table["about"],
        licence=table["licence"],
        page=table["page"],
        source=table["source"],
        settings=table.get("settings", {}),
        label_names=table.get("label_names", {}),
        files={
            file["name"]: Remote(file["url"], file["sha256"], file["bytes"])
            for file in table["files"]
        },
    )
