"""A bundle is whole, unchanged and proven, or it is refused in a sentence that says what is wrong."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from linnet.bundle import FORMAT, MANIFEST, PROOF, Bundle, write_manifest
from linnet.errors import BundleError, ProofError
from linnet.files import canonical_json

CHECKS = {
    "parity": {"passed": True, "detail": "equal"},
    "accuracy": {"passed": True, "detail": "better"},
}
FIELDS: dict[str, Any] = {
    "name": "tiny",
    "created": "2026-01-01T00:00:00+00:00",
    "labels": ["negative", "positive"],
    "problem_type": "single_label_classification",
    "max_length": 64,
    "models": {"fp32": "model.onnx"},
    "temperature": 1.0,
    "lineage": {"git": None},
}


def write_files(directory: Path, checks: Any = CHECKS) -> Path:
    directory.mkdir()
    (directory / "model.onnx").write_bytes(b"graph")
    (directory / "tokenizer.json").write_text("{}")
    (directory / "reference.json").write_text('{"rows": 3}')
    (directory / "README.md").write_text("# tiny\n")
    (directory / PROOF).write_text(canonical_json({"checks": checks}))
    return directory


def test_a_broken_table_of_surprise_is_refused(tmp_path):
    folder = write_files(tmp_path / "bundle")
    assert write_manifest(folder, **FIELDS).verify().surprise_path is None
    np.save(folder / "surprise.npy", np.ones(3, np.float16))
    assert write_manifest(folder, **FIELDS).verify().surprise_path == folder / "surprise.npy"
    np.save(folder / "surprise.npy", np.ones(3, np.float64))
    write_manifest(folder, **FIELDS)
    assert "expected one row of float16" in refuses(folder)


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A folder with a manifest that matches; its graph is no graph, which no digest can know."""
    return write_manifest(write_files(tmp_path / "sealed"), **FIELDS).path


def refuses(path: Path, error: type[BundleError] = BundleError) -> str:
    """The sentence with which a bundle is refused, on reading or on verifying."""
    with pytest.raises(BundleError) as caught:
        Bundle.read(path).verify()
    assert type(caught.value) is error
    return str(caught.value)


def edit(path: Path, **changes: Any) -> None:
    """Change a manifest and leave its digest as it was."""
    file = path / MANIFEST
    file.write_text(canonical_json(json.loads(file.read_text()) | changes))


def test_a_sealed_folder_verifies(sealed):
    bundle = Bundle.read(str(sealed)).verify()
    assert bundle.manifest.format == FORMAT
    assert bundle.manifest.labels == ("negative", "positive")
    assert bundle.proof == {"checks": CHECKS}
    assert bundle.reference == {"rows": 3}
    assert bundle.model_path() == sealed / "model.onnx"
    assert bundle.tokenizer_path == sealed / "tokenizer.json"
    assert set(bundle.manifest.files) == {path.name for path in sealed.iterdir()} - {MANIFEST}


def test_the_digest_names_the_content(sealed, tmp_path):
    copy = write_manifest(write_files(tmp_path / "copy"), **FIELDS)
    assert copy.digest == Bundle.read(sealed).digest
    assert (
        write_manifest(copy.path, **FIELDS | {"name": "other"}).digest != Bundle.read(sealed).digest
    )


def test_sealing_again_replaces_the_manifest(sealed):
    (sealed / "README.md").write_text("# another\n")
    assert "README.md was changed" in refuses(sealed)
    write_manifest(sealed, **FIELDS).verify()


@pytest.mark.parametrize(
    "name", ["model.onnx", "tokenizer.json", "reference.json", "README.md", PROOF]
)
def test_a_changed_file_is_named(sealed, name):
    content = bytearray((sealed / name).read_bytes())
    content[-1] ^= 1  # the same size: only the digest can tell
    (sealed / name).write_bytes(content)
    assert f"{name} was changed since it was written" in refuses(sealed)


@pytest.mark.parametrize(
    "name", ["model.onnx", "tokenizer.json", "reference.json", "README.md", PROOF]
)
def test_a_missing_file_is_named(sealed, name):
    (sealed / name).unlink()
    assert f"is incomplete: {name} missing" in refuses(sealed)


def test_a_file_too_many_is_named(sealed):
    (sealed / "pickle.bin").write_bytes(b"")
    assert "holds more than its manifest lists: pickle.bin" in refuses(sealed)


def test_a_changed_manifest_is_refused(sealed):
    edit(sealed, name="better")
    assert "manifest.json was changed" in refuses(sealed)


def test_a_wrong_digest_is_refused(sealed):
    edit(sealed, digest="0" * 64)
    assert "its digest does not match its content" in refuses(sealed)


@pytest.mark.parametrize("name", ["model.onnx", PROOF, "tokenizer.json"])
def test_a_manifest_lists_every_file_there_must_be(tmp_path, name):
    directory = write_files(tmp_path / "bundle")
    (directory / name).unlink()
    write_manifest(directory, **FIELDS)
    assert f"does not list {name}" in refuses(directory)


@pytest.mark.parametrize("linked", ["model.onnx", MANIFEST])
def test_a_link_is_not_followed(sealed, tmp_path, linked):
    elsewhere = tmp_path / "elsewhere"
    shutil.move(sealed / linked, elsewhere)
    (sealed / linked).symlink_to(elsewhere)
    assert f"{linked} is not a plain file" in refuses(sealed)


def test_a_folder_in_the_place_of_a_file_is_refused(sealed):
    (sealed / "README.md").unlink()
    (sealed / "README.md").mkdir()
    assert "README.md is not a plain file" in refuses(sealed)


def test_a_bundle_may_be_reached_through_a_link(sealed, tmp_path):
    (tmp_path / "current").symlink_to(sealed, target_is_directory=True)
    Bundle.read(tmp_path / "current").verify()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_cannot_be_read_is_refused(sealed):
    (sealed / "model.onnx").chmod(0)
    assert "can't be read" in refuses(sealed)


@pytest.mark.parametrize(
    ("checks", "message"),
    [
        (
            {**CHECKS, "parity": {"passed": False, "detail": "logits are 0.2 apart"}},
            "'parity' failed: logits are 0.2",
        ),
        ({**CHECKS, "latency": {"passed": False}}, "'latency' failed: no detail"),
        ({**CHECKS, "accuracy": {"detail": "fine"}}, "'accuracy' failed: fine"),
        ({**CHECKS, "accuracy": {"passed": 1}}, "'accuracy' failed"),
        ({"accuracy": CHECKS["accuracy"]}, "is missing the check parity"),
        ({}, "is missing the check accuracy, parity"),
        (None, "holds no checks"),
        ([], "holds no checks"),
        ({"parity": True, "accuracy": True}, "holds no checks"),
    ],
)
def test_a_proof_that_does_not_hold_is_refused(tmp_path, checks, message):
    bundle = write_manifest(write_files(tmp_path / "bundle", checks), **FIELDS)
    assert message in refuses(bundle.path, ProofError)


@pytest.mark.parametrize("number", [0, 1, 4])
def test_a_former_format_asks_for_another_export(sealed, number):
    edit(sealed, format=number)
    assert (
        f"is of bundle format {number}; this Linnet reads {FORMAT}. Run `linnet export` again."
        in refuses(sealed)
    )


def test_thresholds_and_mask_are_kept(tmp_path):
    fields = FIELDS | {
        "problem_type": "multi_label_classification",
        "thresholds": [0.3, 0.5],
        "mask": ["email"],
    }
    manifest = write_manifest(write_files(tmp_path / "sealed"), **fields).verify().manifest
    assert (manifest.thresholds, manifest.mask, manifest.multi_label) == (
        (0.3, 0.5),
        ("email",),
        True,
    )


@pytest.mark.parametrize("kind", ["single_label_classification", "multi_label_classification"])
def test_what_is_asked_of_precision_is_kept(tmp_path, kind):
    fields = FIELDS | {
        "problem_type": kind,
        "min_precision": 0.95,
        "thresholds": [0.8, None],
        "temperature": 1.7,
    }
    manifest = write_manifest(write_files(tmp_path / "sealed"), **fields).verify().manifest
    assert (manifest.min_precision, manifest.thresholds, manifest.temperature) == (
        0.95,
        (0.8, None),
        1.7,
    )


def test_a_newer_format_asks_for_a_newer_linnet(sealed):
    edit(sealed, format=FORMAT + 1, unknown_field=True)
    assert (
        f"is of bundle format {FORMAT + 1}; this Linnet reads {FORMAT}. Upgrade Linnet."
        in refuses(sealed)
    )


@pytest.mark.parametrize(
    "name",
    [
        "../model.onnx",
        "/etc/passwd",
        "sub/model.onnx",
        "..\\model.onnx",
        "..",
        ".hidden",
        "",
        "a\0b",
    ],
)
@pytest.mark.parametrize("field", ["models", "files"])
def test_a_path_out_of_the_folder_is_refused(sealed, field, name):
    entry = {"sha256": "0" * 64, "bytes": 0}
    edit(sealed, **{field: {"fp32": name} if field == "models" else {name: entry}})
    assert f"names a file outside of its folder: {name!r}" in refuses(sealed)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"labels": ["one"]}, "labels"),
        ({"labels": ["twice", "twice"]}, "labels"),
        ({"temperature": 0}, "temperature"),
        ({"max_length": 2**70}, "max_length"),
        ({"models": {}}, "models"),
        ({"engines": {}}, "engines"),
        ({"engines": {"fp32": ["openvino"]}}, "engines"),
        ({"engines": {"fp32": ["onnxruntime"], "bf16": ["openvino"]}}, "engines"),
        ({"format": "one"}, "format"),
        ({"digest": "abc"}, "digest"),
        ({"problem_type": "regression"}, "problem_type"),
        ({"hidden": 1}, "hidden"),
        ({"mask": ["name"]}, "mask"),
        ({"thresholds": [0.5, 0.5]}, "thresholds"),
        ({"problem_type": "multi_label_classification"}, "thresholds"),
        ({"problem_type": "multi_label_classification", "thresholds": [0.5]}, "thresholds"),
        ({"problem_type": "multi_label_classification", "thresholds": [0.5, 1.0]}, "thresholds"),
        ({"problem_type": "multi_label_classification", "thresholds": [0.5, None]}, "thresholds"),
        ({"min_precision": 0.9}, "thresholds"),
        ({"min_precision": 0.9, "thresholds": [0.5]}, "thresholds"),
        ({"min_precision": 0.9, "thresholds": [None, None]}, "thresholds"),
        ({"min_precision": 1.0, "thresholds": [0.5, 0.5]}, "min_precision"),
    ],
)
def test_a_manifest_with_a_bad_field_names_it(sealed, change, where):
    content = json.loads((sealed / MANIFEST).read_text()) | change
    (sealed / MANIFEST).write_text(json.dumps(content))
    assert f"is not a manifest: {where}" in refuses(sealed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "can't be read as JSON"),
        (b"{", "can't be read as JSON"),
        (b"\xff\xfe", "can't be read as JSON"),
        (b'{"format": NaN}', "can't be read as JSON"),
        (b'{"lineage": {"loss": [1e999]}}', "can't be read as JSON"),
        (b"[" * 100_000, "can't be read as JSON"),
        (b"[]", "expected a JSON object, got list"),
        (b"{}", "is not a manifest"),
    ],
)
def test_a_broken_manifest_is_refused(sealed, text, message):
    (sealed / MANIFEST).write_bytes(text)
    assert message in refuses(sealed)


def test_half_a_surrogate_pair_in_a_manifest_is_refused(sealed):
    content = json.loads((sealed / MANIFEST).read_text()) | {"lineage": {"branch": "\ud800"}}
    (sealed / MANIFEST).write_text(json.dumps(content))
    assert "was changed" in refuses(sealed)


def test_a_broken_proof_is_refused(tmp_path):
    directory = write_files(tmp_path / "bundle")
    (directory / PROOF).write_text("{")
    assert "proof.json can't be read as JSON" in refuses(write_manifest(directory, **FIELDS).path)


def test_no_such_folder(tmp_path):
    assert f"No such bundle: {tmp_path / 'gone'}" in refuses(tmp_path / "gone")


def test_a_file_is_no_bundle(tmp_path):
    (tmp_path / "file").touch()
    assert "No such bundle" in refuses(tmp_path / "file")


def test_a_folder_that_is_no_bundle(tmp_path):
    assert f"{tmp_path} is not a bundle: it holds no manifest.json" in refuses(tmp_path)


def test_a_variant_that_is_not_there_names_those_that_are(sealed):
    with pytest.raises(BundleError, match="holds no variant 'int8', only fp32"):
        Bundle.read(sealed).model_path("int8")


def test_a_variant_is_served_only_by_engines_that_it_was_proven_with(tmp_path):
    fields = FIELDS | {"models": {"fp32": "model.onnx", "bf16": "model.onnx"}}
    fields |= {"engines": {"fp32": ["onnxruntime"], "bf16": ["openvino"]}}
    bundle = write_manifest(write_files(tmp_path / "bundle"), **fields).verify()
    assert bundle.model_path("bf16", "openvino") == bundle.model_path()
    with pytest.raises(
        BundleError, match=r"'fp32' of .* is not proven with openvino, only with onnxruntime"
    ):
        bundle.model_path("fp32", "openvino")
    with pytest.raises(
        BundleError, match=r"'bf16' of .* is not proven with onnxruntime, only with openvino"
    ):
        bundle.model_path("bf16")


def test_what_hosts_chose_is_no_part_of_the_bundle(sealed):
    (sealed / "host.json").write_text("{}")
    assert Bundle.read(sealed).verify().digest == write_manifest(sealed, **FIELDS).verify().digest
    (sealed / "host.json").unlink()
    Bundle.read(sealed).verify()
    (sealed / "host.json").mkdir()
    assert "host.json is not a plain file" in refuses(sealed)


@pytest.mark.parametrize("end", ["\n", "\r", "\x00", "\x1b", "\x7f", "\x85", "\u2028", "\u2029"])
def test_a_label_or_name_with_a_control_character_is_refused(sealed, end):
    edit(sealed, labels=[f"good{end}forged", "bad"])
    message = refuses(sealed)
    assert "labels.0" in message and "expected no control character" in message
    assert len(message.splitlines()) == 1
    edit(sealed, labels=["good", "bad"], name=f"mails{end}forged")
    assert "is not a manifest: name  Value error, expected no control" in refuses(sealed)
