"""Codecs of several bundles share the tokenizers that are the same."""

import json
import shutil

from linnet.bundle import Bundle, write_manifest
from linnet.predict.codec import Codec


def changed(bundle, folder, **changes):
    shutil.copytree(bundle, folder)
    fields = Bundle.read(folder).manifest.model_dump(exclude={"format", "files", "digest"})
    write_manifest(folder, **fields | changes)
    return Bundle.read(folder)


def test_the_same_tokenizer_is_used_again(bundle, tmp_path):
    first = Codec(Bundle.read(bundle))
    second = Codec(changed(bundle, tmp_path / "same", name="same"), [first])
    assert second.tokenizers[0] is first.tokenizers[0]
    first.tokenizers.clear()
    third = Codec(changed(bundle, tmp_path / "third", name="third"), [first, second])
    assert third.tokenizers == second.tokenizers
    assert third.encode(["good day"]) == Codec(Bundle.read(bundle)).encode(["good day"])


def test_another_tokenizer_or_length_is_read(bundle, tmp_path):
    first = Codec(Bundle.read(bundle))
    shorter = Codec(changed(bundle, tmp_path / "shorter", max_length=8), [first])
    assert shorter.tokenizers[0] is not first.tokenizers[0]
    assert shorter.tokenizers[0].max_length == 8
    assert first.tokenizers[0].max_length == 64
    folder = tmp_path / "other"
    shutil.copytree(bundle, folder)
    (folder / "surprise.npy").unlink()
    content = json.loads((folder / "tokenizer.json").read_text())
    content["model"]["vocab"]["anotherword"] = len(content["model"]["vocab"])
    (folder / "tokenizer.json").write_text(json.dumps(content))
    other = Codec(changed(folder, tmp_path / "sealed"), [first])
    assert other.tokenizers[0].has("anotherword") and not first.tokenizers[0].has("anotherword")
