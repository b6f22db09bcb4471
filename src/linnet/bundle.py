"""The artefact: a folder that holds a model and the proof that it works.

    bundle/
      model.onnx       the graph in float32: input_ids, attention_mask -> logits
      model.onnx.data  its large weights, which an engine maps into memory; so of every graph
      model.*.onnx     the same in other precisions, such as model.int8-dynamic.onnx
      tokenizer.json   text to ids
      config.json      the architecture and labels as transformers has them, for other programs
      fast.onnx        of a cascade, the graph that is asked first
      fast.json        its tokenizer
      manifest.json    names, labels, lineage, and the digest of every other file
      proof.json       the checks of the finished model, with figures; all must have passed
      reference.json   what the validation rows looked like, for monitoring to compare with
      surprise.npy     how rare each token was in training, for monitoring; optional
      README.md        the model card
      host.json        the fastest plans of the hosts that `linnet optimize` measured; not in
                       the bundle's digest
      manifest.sig     the signature of manifest.json by `linnet sign`; optional

Nothing else may be in it. Knows nothing of how a model is made or run.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from linnet.errors import BundleError, ProofError
from linnet.files import canonical_json, digest, write_text
from linnet.links import plain
from linnet.pii import Personal
from linnet.surprise import read_values

FORMAT = 5
MANIFEST = "manifest.json"
PROOF = "proof.json"
REFERENCE = "reference.json"
SURPRISE = "surprise.npy"
TOKENIZER = "tokenizer.json"
CARD = "README.md"
HOST = "host.json"
SIGNATURE = "manifest.sig"
UNLISTED = {MANIFEST, HOST, SIGNATURE}  # the manifest does not list these
CONFIG = "config.json"  # for optimum; Linnet does not read it
WEIGHTS = ".data"  # after the name of a graph, the file of its large weights
FLOAT32 = "fp32"  # the precision that every bundle has
DEFAULT_ENGINE = "onnxruntime"
REQUIRED_FILES = {PROOF, REFERENCE, TOKENIZER, CARD}
REQUIRED_CHECKS = {"parity", "accuracy"}
MOST_TOKENS = 1_000_000
ProblemType = Literal["single_label_classification", "multi_label_classification"]
CONTROL_OR_LINE_END = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
Threshold = Annotated[float, Field(gt=0, lt=1)]
PLAIN_NAME = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*"
)  # of a file next to the manifest: no path, no hidden file


def _one_line(text: str) -> str:
    if found := CONTROL_OR_LINE_END.search(text):
        raise ValueError(f"expected no control character and no line end; got {found[0]!r}")
    return text


OneLine = Annotated[str, AfterValidator(_one_line)]


class FileEntry(BaseModel):
    """One file of a bundle: its SHA-256 and its size in bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class Cascade(BaseModel):
    """A smaller model that is asked first; the full one is asked what it is not sure of.

    Attributes:
        name: The smaller model's name.
        digest: Of the bundle that it came from.
        model: The file of its graph.
        tokenizer: The file of its tokenizer.
        max_length: Tokens of a text that it reads.
        temperature: What its logits are divided by to tell how sure it is.
        threshold: The probability from which on it is sure.
        scale: What its logits are multiplied by to be like the full model's, before the bundle's
            temperature.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: OneLine
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    model: str
    tokenizer: str
    max_length: int = Field(ge=4, le=MOST_TOKENS)
    temperature: float = Field(gt=0, allow_inf_nan=False)
    threshold: float = Field(gt=0, le=1)
    scale: float = Field(gt=0, allow_inf_nan=False)


class Manifest(BaseModel):
    """manifest.json.

    Attributes:
        format: Version of this layout.
        name: The model's name, which answers carry.
        created: ISO 8601, UTC.
        labels: Label names in the order of the logits.
        problem_type: As in `transformers`.
        max_length: Tokens a text may have.
        models: Variant (a precision) to the file that holds it, `fp32` at least.
        engines: Variant to the engines whose answers passed the gate at export; no other may serve
            it.
        temperature: What logits are divided by before the softmax or, with several labels per text,
            the sigmoid.
        min_precision: The share of right ones that each label's answers have at least, as
            proof.json says how surely; None where no such share was asked for.
        thresholds: The probability from which on each label is given: with several labels per text
            always, with one label a text where `min_precision` is set, else None. A label that
            can't reach `min_precision` has None for a threshold and is never given.
        mask: Which personal data were masked in training, and so are in service.
        cascade: The smaller model that is asked first; None if there is none.
        lineage: Where the model came from: git, packages, data, settings.
        files: Every other file of the folder.
        digest: SHA-256 of this manifest without this field: it names the bundle.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: int = Field(ge=1)
    name: OneLine
    created: str
    labels: tuple[OneLine, ...] = Field(min_length=2)
    problem_type: ProblemType
    max_length: int = Field(ge=4, le=MOST_TOKENS)
    models: dict[str, str] = Field(min_length=1)
    engines: dict[str, tuple[str, ...]] = Field(
        default={FLOAT32: (DEFAULT_ENGINE,)}, validate_default=True
    )
    temperature: float = Field(gt=0, allow_inf_nan=False)
    min_precision: Threshold | None = None
    thresholds: tuple[Threshold | None, ...] | None = Field(default=None, validate_default=True)
    mask: tuple[Personal, ...] = ()
    cascade: Cascade | None = Field(default=None, validate_default=True)
    lineage: dict[str, Any]
    files: dict[str, FileEntry]
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(labels)) < len(labels):
            raise ValueError("a label appears twice")
        return labels

    @field_validator("engines")
    @classmethod
    def _engines_of_each_model(
        cls, engines: dict[str, tuple[str, ...]], info: ValidationInfo
    ) -> dict[str, tuple[str, ...]]:
        models = info.data.get("models", {})
        if set(engines) != set(models):
            raise ValueError(
                f"expected engines for {', '.join(models)}; got some for {', '.join(engines)}"
            )
        if DEFAULT_ENGINE not in engines.get(FLOAT32, ()):
            raise ValueError(f"{DEFAULT_ENGINE} is not among the engines for {FLOAT32}")
        return engines

    @property
    def multi_label(self) -> bool:
        """Whether the model is multi-label."""
        return self.problem_type == "multi_label_classification"

    @field_validator("thresholds")
    @classmethod
    def _a_threshold_a_label(
        cls, thresholds: tuple[float | None, ...] | None, info: ValidationInfo
    ) -> tuple[float | None, ...] | None:
        kind, labels, precise = (
            info.data.get(key) for key in ("problem_type", "labels", "min_precision")
        )
        expected = (
            len(labels) if labels and (precise or kind == "multi_label_classification") else 0
        )
        if len(thresholds or ()) != expected:
            raise ValueError(
                f"a model for {kind} has {expected} thresholds; got {len(thresholds or ())}"
            )
        if None in (thresholds or ()) and (not precise or not any(thresholds or ())):
            raise ValueError(
                "only with min_precision may a label never be given, and not all labels at once"
            )
        return thresholds

    @field_validator("cascade")
    @classmethod
    def _of_plain_answers(cls, cascade: Cascade | None, info: ValidationInfo) -> Cascade | None:
        if cascade and (
            info.data.get("min_precision")
            or info.data.get("problem_type") == "multi_label_classification"
        ):
            raise ValueError(
                "a cascade is of models for one label a text, and without min_precision"
            )
        return cascade


@dataclass(frozen=True)
class Bundle:
    """A bundle folder whose manifest has been read. `verify` it before it is served.

    Attributes:
        path: The folder.
        manifest: Its manifest.json.
    """

    path: Path
    manifest: Manifest

    @classmethod
    def read(cls, path: str | Path) -> "Bundle":
        """Read a bundle's manifest; no other file is touched.

        Raises:
            BundleError: The folder is missing, isn't a bundle, or is of a newer format.
        """
        path = Path(path)
        file = path / MANIFEST
        if not path.is_dir():
            raise BundleError(
                f"No such bundle: {path}. Expected a folder that `linnet export` wrote."
            )
        if not file.is_file():
            raise BundleError(
                f"{path} is not a bundle: it holds no {MANIFEST}. Expected a folder that `linnet "
                "export` wrote, such as runs/NAME/bundle."
            )
        return cls(path, _parse_manifest(file))

    @property
    def digest(self) -> str:
        """The SHA-256 that names this bundle."""
        return self.manifest.digest

    @cached_property
    def proof(self) -> dict[str, Any]:
        """proof.json."""
        return _read_json(self.path / PROOF)

    @cached_property
    def reference(self) -> dict[str, Any]:
        """reference.json."""
        return _read_json(self.path / REFERENCE)

    @property
    def surprise_path(self) -> Path | None:
        """Path of surprise.npy; None if the bundle has none."""
        return self.path / SURPRISE if SURPRISE in self.manifest.files else None

    @property
    def tokenizer_path(self) -> Path:
        """Path of tokenizer.json."""
        return self.path / TOKENIZER

    def model_path(self, variant: str = FLOAT32, engine: str = DEFAULT_ENGINE) -> Path:
        """Path of the ONNX graph of one variant, for one engine.

        Raises:
            BundleError: The bundle holds no such variant, or it is not proven with this engine.
        """
        engines = self.manifest.engines
        if variant not in engines:
            raise BundleError(
                f"{self.path} holds no variant {variant!r}, only {', '.join(engines)}. Its {PROOF} "
                "says which others were tried, and why they were refused."
            )
        if engine not in engines[variant]:
            raise BundleError(
                f"The variant {variant!r} of {self.path} is not proven with {engine}, only with "
                f"{', '.join(engines[variant])}. Its {PROOF} says why; or export it where "
                f"{engine} is installed."
            )
        return plain(self.path) / self.manifest.models[variant]

    def model_bytes(self) -> int:
        """Size of the graph in float32 with all its weights."""
        name = self.manifest.models[FLOAT32]
        files = self.manifest.files
        return sum(files[part].bytes for part in (name, name + WEIGHTS) if part in files)

    def stamps(self) -> dict[str, tuple[int, int, int]]:
        """Of each file of weights that is there:

        its inode, its bytes, and when it was written to last, in ns.
        """
        found = {}
        for name in self.manifest.files:
            if name.endswith(WEIGHTS):
                with suppress(FileNotFoundError):
                    stat = (self.path / name).stat()
                    found[name] = stat.st_ino, stat.st_size, stat.st_mtime_ns
        return found

    def verify(self, check: Callable[[], None] = lambda: None) -> "Bundle":
        """Check every file against the manifest, and the proof; give the bundle back.

        Args:
            check: Called between pieces of the work, which takes long for a large bundle;
                gives it up by what it raises.

        Raises:
            BundleError: A file is missing, changed, too many or can't be read, the manifest's own
                digest is wrong, or surprise.npy is no such table.
            ProofError: The proof is missing a check, or a check failed.
        """
        if self.manifest.digest != _manifest_digest(self.manifest.model_dump(mode="json")):
            raise BundleError(
                f"{self.path / MANIFEST} was changed: its digest does not match its content."
            )
        try:
            self._verify_files(check)
        except OSError as error:
            raise BundleError(f"{error.filename} can't be read: {error.strerror}.") from error
        self._verify_proof()
        if self.surprise_path:
            read_values(self.surprise_path)
        return self

    def _verify_files(self, check: Callable[[], None]) -> None:
        listed = self.manifest.files
        cascade = self.manifest.cascade
        fast = {cascade.model, cascade.tokenizer} if cascade else set()
        unlisted = (REQUIRED_FILES | set(self.manifest.models.values()) | fast) - set(listed)
        if unlisted:
            raise BundleError(f"{self.path / MANIFEST} does not list {_names(unlisted)}.")
        present = {entry.name: entry for entry in self.path.iterdir()}
        if missing := set(listed) - set(present):
            raise BundleError(f"{self.path} is incomplete: {_names(missing)} missing.")
        if extra := set(present) - set(listed) - UNLISTED:
            raise BundleError(
                f"{self.path} holds more than its manifest lists: {_names(extra)}. Remove it."
            )
        for file in present.values():
            if file.is_symlink() or not file.is_file():
                raise BundleError(f"{file} is not a plain file.")
        for name, entry in listed.items():
            file = present[name]
            if file.stat().st_size != entry.bytes or digest(file, check) != entry.sha256:
                raise BundleError(
                    f"{file} was changed since it was written: its SHA-256 is not the manifest's."
                )

    def _verify_proof(self) -> None:
        checks = self.proof.get("checks")
        if not isinstance(checks, dict) or not all(
            isinstance(check, dict) for check in checks.values()
        ):
            raise ProofError(f"{self.path / PROOF} holds no checks.")
        if missing := REQUIRED_CHECKS - set(checks):
            raise ProofError(f"{self.path / PROOF} is missing the check {_names(missing)}.")
        for name, check in checks.items():
            if check.get("passed") is not True:
                raise ProofError(
                    f"{self.path / PROOF}: the check {name!r} failed: "
                    f"{check.get('detail', 'no detail')}."
                )


def write_manifest(directory: Path, **fields: Any) -> Bundle:
    """Seal a folder: digest every file in it and write manifest.json next to them.

    Args:
        directory: Holds all other files of the bundle.
        **fields: The fields of `Manifest`, without `format`, `files` and `digest`.
    """
    entries = {
        file.name: {"sha256": digest(file), "bytes": file.stat().st_size}
        for file in sorted(directory.iterdir())
        if file.name not in UNLISTED
    }
    content = {"format": FORMAT, **fields, "files": entries, "digest": "0" * 64}
    content = Manifest.model_validate(content).model_dump(mode="json")
    content["digest"] = _manifest_digest(content)
    write_text(directory / MANIFEST, canonical_json(content))
    return Bundle.read(directory)


def _manifest_digest(content: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in content.items() if key != "digest"}
    return hashlib.sha256(canonical_json(rest).encode("utf-8", "surrogatepass")).hexdigest()


def _parse_manifest(file: Path) -> Manifest:
    content = _read_json(file)
    version = content.get("format")
    if isinstance(version, int) and version != FORMAT:
        step = "Upgrade Linnet." if version > FORMAT else "Run `linnet export` again."
        raise BundleError(
            f"{file.parent} is of bundle format {version}; this Linnet reads {FORMAT}. {step}"
        )
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BundleError(f"{file} is not a manifest: {where}  {first['msg']}.") from None
    for name in (*manifest.files, *manifest.models.values()):
        if not PLAIN_NAME.fullmatch(name):
            raise BundleError(f"{file} names a file outside of its folder: {name!r}.")
    return manifest


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
        canonical_json(content)  # refuses infinities, which JSON can spell as 1e999
    except FileNotFoundError:
        raise BundleError(f"{file.parent} is incomplete: {file.name} missing.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{file} can't be read as JSON: {error}.") from None
    if not isinstance(content, dict):
        raise BundleError(
            f"{file} can't be read: expected a JSON object, got {type(content).__name__}."
        )
    return content


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _names(names: set[str]) -> str:
    return ", ".join(sorted(names))
