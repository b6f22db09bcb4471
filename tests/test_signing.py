"""Signed bundles: who signed, what was changed, and what a service that trusts a key refuses."""

import json
import os
import shutil
import stat
import subprocess

import pytest
from starlette.testclient import TestClient

from linnet.bundle import Bundle, write_manifest
from linnet.cli.main import main
from linnet.config import load_config
from linnet.errors import BundleError, ConfigError, SignatureError, UsageError
from linnet.serve.app import create_app
from linnet.serve.models.service import Service
from linnet.signing import check_signature, new_key, sign


@pytest.fixture
def signed(bundle, tmp_path):
    """A signed copy of the bundle, and the two files of its key."""
    copy = shutil.copytree(bundle, tmp_path / "bundle")
    public = new_key(tmp_path / "release.pem")
    sign(Bundle.read(copy), tmp_path / "release.pem")
    return copy, tmp_path / "release.pem", public


def reseal(bundle, **changes):
    """Write another manifest over the same files, as who holds the folder could."""
    content = Bundle.read(bundle).manifest.model_dump(mode="json")
    fields = {key: content[key] for key in content.keys() - {"format", "files", "digest"}}
    return write_manifest(bundle, **fields | changes)


def test_a_signed_bundle_is_whole_and_names_the_key(signed):
    bundle, private, public = signed
    assert check_signature(Bundle.read(bundle), [public]) == public
    Bundle.read(bundle).verify()
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert b"PRIVATE" not in public.read_bytes()


def test_the_signature_is_no_part_of_the_digest(signed, bundle):
    assert Bundle.read(signed[0]).digest == Bundle.read(bundle).digest


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_openssl_finds_it_right_and_makes_keys_and_signatures_that_are_taken(signed, tmp_path):
    bundle, _, public = signed
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin"]
    command += ["-in", bundle / "manifest.json", "-sigfile", bundle / "manifest.sig"]
    assert subprocess.run(command, check=True, capture_output=True, timeout=60).returncode == 0
    own, own_public = tmp_path / "own.pem", tmp_path / "own.pub"
    for arguments in (
        ["genpkey", "-algorithm", "ed25519", "-out", own],
        ["pkey", "-in", own, "-pubout", "-out", own_public],
    ):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=60)
    sign(Bundle.read(bundle), own)
    assert check_signature(Bundle.read(bundle), [public, own_public]) == own_public


def test_another_key_is_refused(signed, tmp_path):
    other = new_key(tmp_path / "other.pem")
    with pytest.raises(SignatureError, match="signed by none of the trusted keys"):
        check_signature(Bundle.read(signed[0]), [other])


def test_a_resealed_manifest_is_refused_though_its_digests_are_right(signed):
    bundle, _, public = signed
    assert reseal(bundle, name="another").verify()
    with pytest.raises(SignatureError, match="or was changed since"):
        check_signature(Bundle.read(bundle), [public])


@pytest.mark.parametrize("content", [b"", b"x", bytes(64), bytes(65), b"\xff" * 10_000])
def test_a_damaged_signature_is_refused(signed, content):
    bundle, _, public = signed
    (bundle / "manifest.sig").write_bytes(content)
    with pytest.raises(SignatureError, match="signed by none"):
        check_signature(Bundle.read(bundle), [public])


def test_a_longer_signature_is_refused(signed):
    bundle, _, public = signed
    file = bundle / "manifest.sig"
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(SignatureError, match="signed by none"):
        check_signature(Bundle.read(bundle), [public])


def test_a_missing_signature_says_how_to_sign(signed):
    bundle, private, public = signed
    (bundle / "manifest.sig").unlink()
    with pytest.raises(SignatureError, match="is not signed") as caught:
        check_signature(Bundle.read(bundle), [public])
    advice = str(caught.value).partition(": ")[2].replace("FILE", str(private)).split()
    assert advice[0] == "linnet" and main(advice[1:]) == 0
    assert check_signature(Bundle.read(bundle), [public]) == public


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_what_is_no_plain_file_is_never_waited_for(signed, kind, tmp_path):
    bundle, _, public = signed
    file = bundle / "manifest.sig"
    shutil.move(file, tmp_path / "moved.sig")
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "link":
        file.symlink_to(tmp_path / "moved.sig")
    else:
        file.mkdir()
    with pytest.raises(SignatureError, match="not a plain file"):
        check_signature(Bundle.read(bundle), [public])


def test_a_changed_bundle_is_not_signed(signed):
    bundle, private, _ = signed
    with (bundle / "README.md").open("a") as file:
        file.write("more")
    with pytest.raises(BundleError, match="was changed since it was written"):
        sign(Bundle.read(bundle), private)


def test_a_manifest_that_changes_meanwhile_is_refused(signed):
    bundle, private, public = signed
    read = Bundle.read(bundle)
    reseal(bundle, name="another")
    with pytest.raises(SignatureError, match="changed while it was read"):
        check_signature(read, [public])
    with pytest.raises(SignatureError, match="changed while it was read"):
        sign(read, private)


def test_a_key_is_never_overwritten(signed):
    private = signed[1]
    before = private.read_bytes()
    with pytest.raises(UsageError, match="exists"):
        new_key(private)
    assert private.read_bytes() == before


def test_an_encrypted_key_needs_its_password(signed, tmp_path, monkeypatch):
    bundle = Bundle.read(signed[0])
    monkeypatch.setenv("LINNET_SIGN_PASSWORD", "correct horse")
    public = new_key(tmp_path / "locked.pem")
    assert b"ENCRYPTED" in (tmp_path / "locked.pem").read_bytes()
    sign(bundle, tmp_path / "locked.pem")
    assert check_signature(bundle, [public]) == public
    with pytest.raises(UsageError, match="is not encrypted, but LINNET_SIGN_PASSWORD is set"):
        sign(bundle, signed[1])
    monkeypatch.setenv("LINNET_SIGN_PASSWORD", "wrong")
    with pytest.raises(UsageError, match="or LINNET_SIGN_PASSWORD is wrong"):
        sign(bundle, tmp_path / "locked.pem")
    monkeypatch.delenv("LINNET_SIGN_PASSWORD")
    with pytest.raises(UsageError, match="is encrypted, and LINNET_SIGN_PASSWORD is not set"):
        sign(bundle, tmp_path / "locked.pem")


def test_files_that_hold_no_such_key_are_refused(signed, tmp_path):
    bundle, private, public = signed
    read = Bundle.read(bundle)
    (tmp_path / "words.pem").write_text("no key")
    for path in (tmp_path / "words.pem", private, tmp_path / "missing.pem", tmp_path):
        with pytest.raises(ConfigError, match=r"holds no public key|can't be read"):
            check_signature(read, [public, path])
    for path in (tmp_path / "words.pem", public, tmp_path / "missing.pem"):
        with pytest.raises(UsageError, match=r"holds no private key|can't be read"):
            sign(read, path)


def test_a_service_serves_only_what_a_trusted_key_signed(signed, bundle):
    copy, _, public = signed
    config = load_config(overrides={"serve.trusted_keys": [str(public)], "prediction_log.url": ""})
    with (
        pytest.raises(SignatureError, match="is not signed"),
        TestClient(create_app(Service(config, str(bundle)))),
    ):
        pass
    with TestClient(create_app(Service(config, str(copy)))) as client:
        assert client.get("/readyz").status_code == 200
        swap = {"arms": {"champion": {"bundle": str(bundle)}}}
        answer = client.post("/admin/models", json=swap)
        assert answer.json()["error"]["code"] == "bad_signature"
        assert client.get("/readyz").status_code == 200


def test_the_command_makes_a_key_signs_and_checks(bundle, tmp_path, capsys):
    copy = str(shutil.copytree(bundle, tmp_path / "bundle"))
    key = tmp_path / "release.pem"
    assert main(["sign", copy, "--key", str(key), "--new-key"]) == 0
    assert "keep it secret" in capsys.readouterr().out
    assert main(["sign", copy, "--check", f"{key}.pub"]) == 0
    assert "is whole, and signed by" in capsys.readouterr().out
    assert main(["sign", copy, "--check", f"{key}.pub", "--new-key"]) == 2
    manifest = tmp_path / "bundle/manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text())))  # the same, said otherwise
    assert main(["sign", copy, "--check", f"{key}.pub"]) == SignatureError.exit_code
    assert "or was changed since" in capsys.readouterr().err
