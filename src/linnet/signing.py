r"""Signatures of bundles: Ed25519 (RFC 8032), detached, in the bundle's `manifest.sig`.

The signature covers the bytes of manifest.json, which hold the SHA-256 of every other file. It is
the raw 64 bytes that other tools read, too:

    openssl pkeyutl -verify -pubin -inkey release.pem.pub -rawin -in manifest.json \
        -sigfile manifest.sig

Needs no network. Knows nothing of who owns a key: a service trusts the files that it is given.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from linnet.bundle import MANIFEST, SIGNATURE, Bundle
from linnet.errors import ConfigError, SignatureError, UsageError
from linnet.files import write_bytes

PUBLIC = ".pub"  # after the name of a private key's file
PASSWORD = "LINNET_SIGN_PASSWORD"  # noqa: S105  the variable's name
LARGEST_KEY = 10_000  # bytes
SIGNATURE_BYTES = 64
ADVICE = "Expected a PEM file such as `linnet sign BUNDLE --key FILE --new-key` writes."


def new_key(path: Path) -> Path:
    """Make a key pair: the private key in `path` (mode 0600), the public one in `path` + `.pub`.

    The private key is encrypted if the variable LINNET_SIGN_PASSWORD is set.

    Returns:
        The public key's file.

    Raises:
        UsageError: One of the two files exists.
        StorageError: The disk refused the write.
    """
    public_path = path.with_name(path.name + PUBLIC)
    for file in (path, public_path):
        if os.path.lexists(file):
            raise UsageError(f"{file} exists. Choose another --key, or leave out --new-key.")
    key = Ed25519PrivateKey.generate()
    password = os.environ.get(PASSWORD, "").encode()
    encryption = (
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption()
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write_bytes(path, private, private=True)
    write_bytes(public_path, public)
    return public_path


def sign(bundle: Bundle, key_path: Path) -> Path:
    """Sign a bundle, which is verified first. A former signature is replaced.

    Args:
        bundle: What to sign.
        key_path: File of the private key, PEM.

    Returns:
        The signature's file.

    Raises:
        BundleError: The bundle is changed or incomplete.
        ProofError: Its proof is missing or failed.
        UsageError: The file holds no Ed25519 private key, or its password is wrong.
        StorageError: The disk refused the write.
    """
    key = _private_key(key_path)
    content = _manifest_bytes(bundle)
    bundle.verify()
    path = bundle.path / SIGNATURE
    write_bytes(path, key.sign(content))
    return path


def check_signature(bundle: Bundle, trusted_keys: Sequence[str | Path]) -> Path:
    """Check that one of the trusted keys signed a bundle; `Bundle.verify` checks its files.

    Args:
        bundle: A bundle whose manifest has been read.
        trusted_keys: Files of public keys, PEM.

    Returns:
        The file of the key that signed it.

    Raises:
        SignatureError: The signature is missing, or none of the keys made it.
        ConfigError: A key's file can't be used.
    """
    keys = [(Path(path), _public_key(Path(path))) for path in trusted_keys]
    content = _manifest_bytes(bundle)
    signature = _signature(bundle.path / SIGNATURE)
    for path, key in keys:
        try:
            key.verify(signature, content)
        except InvalidSignature:
            continue
        return path
    names = ", ".join(str(path) for path, _ in keys)
    raise SignatureError(
        f"{bundle.path} is signed by none of the trusted keys ({names}), or was changed since. "
        "Ask whoever made it."
    )


def _signature(path: Path) -> bytes:
    if not os.path.lexists(path):
        raise SignatureError(
            f"{path.parent} is not signed. Sign it where the private key is: "
            f"linnet sign {path.parent} --key FILE"
        )
    if path.is_symlink() or not path.is_file():
        raise SignatureError(f"{path} is not a plain file.")
    try:
        with path.open("rb") as file:
            return file.read(SIGNATURE_BYTES + 1)
    except OSError as error:
        raise SignatureError(f"{path} can't be read: {error.strerror}.") from None


def _manifest_bytes(bundle: Bundle) -> bytes:
    """manifest.json as it is on disk now, which must still be what was read."""
    try:
        content = (bundle.path / MANIFEST).read_bytes()
        same = json.loads(content)["digest"] == bundle.digest
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        same = False
    if not same:
        raise SignatureError(f"{bundle.path / MANIFEST} changed while it was read. Try again.")
    return content


def _private_key(path: Path) -> Ed25519PrivateKey:
    password = os.environ.get(PASSWORD, "").encode() or None
    try:
        key = serialization.load_pem_private_key(_read_key(path), password)
    except OSError as error:
        raise UsageError(f"The key {path} can't be read: {error.strerror}. {ADVICE}") from None
    except TypeError:
        state = "not encrypted, but" if password else "encrypted, and"
        raise UsageError(
            f"The key {path} is {state} {PASSWORD} is {'set' if password else 'not set'}. "
            f"{'Unset' if password else 'Set'} the variable."
        ) from None
    except Exception:  # any of many, by what is wrong with the file
        raise UsageError(
            f"{path} holds no private key that can be read, or {PASSWORD} is wrong. {ADVICE}"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"The key {path} is not an Ed25519 key. {ADVICE}")
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(_read_key(path))
    except OSError as error:
        raise ConfigError(
            f"The trusted key {path} can't be read: {error.strerror}. {ADVICE}"
        ) from None
    except Exception:  # any of many, by what is wrong with the file
        raise ConfigError(f"{path} holds no public key. {ADVICE} Name its {PUBLIC} file.") from None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(f"The trusted key {path} is not an Ed25519 key. {ADVICE}")
    return key


def _read_key(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_KEY)
