"""A registered bundle to a folder, verified; no code of the store is run."""

import json
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from linnet.bundle import HOST, MANIFEST, Bundle
from linnet.config import TrackConfig
from linnet.errors import BundleError, LinnetError, RefusedError, UsageError
from linnet.files import check_replaceable, whole_directory
from linnet.track.registry import Registry, Version, check_alias
from linnet.track.store import Store

CHAMPION = "champion"
GATE = "linnet.gate"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which version is wanted.

    Attributes:
        name: Of the registered model.
        alias: Of the version; "" where a number is given.
        number: Of the version; "" where an alias is given.
    """

    name: str
    alias: str
    number: str

    @classmethod
    def parse(cls, text: str) -> "Wanted":
        """Read NAME, NAME@ALIAS, NAME/VERSION, each also after `models:/`.

        Raises:
            UsageError: It is none of these.
        """
        rest = text.removeprefix("models:/")
        name, at, alias = rest.partition("@")
        if at:
            return cls(_named(name, text), check_alias(alias), "")
        name, slash, number = rest.rpartition("/")
        if slash and number.isdigit():
            return cls(_named(name, text), "", number)
        return cls(_named(rest, text), CHAMPION, "")


def find_version(registry: Registry, wanted: Wanted) -> Version:
    """The version that is wanted.

    Raises:
        UsageError: There is none.
    """
    if wanted.number:
        return registry.by_number(wanted.number)
    version = registry.by_alias(wanted.alias)
    if version is None:
        raise UsageError(
            f"The model {wanted.name!r} has no alias {wanted.alias!r}. `linnet promote "
            f"{wanted.name}` sets champion, and `linnet track` challenger."
        )
    return version


def fetch(
    settings: TrackConfig, wanted: Wanted, out: Path, unpromoted: bool = False
) -> tuple[Bundle, Version]:
    """Download a bundle and verify it; the folder appears whole, or stays as it was.

    Args:
        settings: The section `[track]`.
        wanted: Which version.
        out: The bundle's folder. If it holds that bundle already, nothing is loaded.
        unpromoted: Take a champion that passed no gate, because somebody moved the alias by hand.

    Raises:
        BundleError: What was loaded is not what was registered.
        RefusedError: The champion passed no gate.
        ServiceError: The store can't be reached.
        UsageError: There is no such version, or something else is at `out`.
    """
    store = Store(settings)
    registry = Registry(store, wanted.name)
    version = find_version(registry, wanted)
    if wanted.alias == CHAMPION and not unpromoted:
        check_promoted(version)
    return load_version(store, version, out), version


def check_promoted(version: Version) -> None:
    """Pass if a version was promoted by the gate.

    Raises:
        RefusedError: It wasn't.
    """
    passed = False
    with suppress(ValueError, AttributeError):
        gate = json.loads(version.tags.get(GATE, "null"))
        passed = gate["passed"] is True and gate["digest"] == version.digest if gate else False
    if not passed:
        raise RefusedError(
            f"Version {version.number} of {version.name!r} is champion, but passed no gate: "
            "somebody moved the alias by hand. Promote it, or take it with "
            "`linnet fetch --unpromoted`."
        )


def load_version(store: Store, version: Version, out: Path) -> Bundle:
    """Download the bundle of a version into a folder, verified; see `fetch`."""
    if not version.digest:
        raise UsageError(f"Version {version.number} of {version.name!r} is no bundle of Linnet's.")
    with suppress(LinnetError):
        present = Bundle.read(out)
        if present.digest == version.digest:
            return present.verify()
    check_replaceable(out, MANIFEST)
    with tempfile.TemporaryDirectory(prefix="linnet-fetch-") as name:
        downloaded = _download(store, version, Path(name))
        with whole_directory(out, MANIFEST) as folder:
            for path in sorted(downloaded.iterdir()):
                if not path.is_file() or path.is_symlink() or path.name == HOST:
                    raise BundleError(
                        f"The store holds {path.name!r} in the bundle, which is no file of one."
                    )
                (folder / path.name).write_bytes(path.read_bytes())
            loaded = Bundle.read(folder).verify()
            if loaded.digest != version.digest:
                raise BundleError(
                    f"Version {version.number} of {version.name!r} is registered with the digest "
                    f"{version.digest[:12]}, but its files have {loaded.digest[:12]}. The store "
                    "was changed: do not use it."
                )
    return Bundle.read(out)


def _download(store: Store, version: Version, folder: Path) -> Path:
    with store.errors():
        place = store.client.get_logged_model(version.model_id).artifact_location
    return store.download(f"{place.rstrip('/')}/bundle", folder)


def _named(name: str, text: str) -> str:
    if not name or "/" in name:
        raise UsageError(f"Expected NAME, NAME@ALIAS or NAME/VERSION; got {text!r:.100}.")
    return name
