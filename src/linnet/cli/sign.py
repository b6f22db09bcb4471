"""Sign a bundle, so that services that trust the key serve it and no other; or check a signature.

The signature (Ed25519) is written into the bundle as manifest.sig. It covers the manifest, and so
every file of the bundle. A service with `serve.trusted_keys` refuses bundles without it.
"""

import argparse
from pathlib import Path

from linnet.terminal import print_line

SUMMARY = "sign a bundle with a private key, or check its signature"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("bundle", type=Path, help="the bundle, such as runs/NAME/bundle")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument(
        "--key", type=Path, metavar="FILE", help="sign with this private key (Ed25519, PEM)"
    )
    action.add_argument(
        "--check",
        type=Path,
        action="append",
        metavar="FILE",
        help="check that this public key signed it; may be given several times",
    )
    parser.add_argument(
        "--new-key",
        action="store_true",
        help="make the key pair first: FILE and FILE.pub; a password comes from the variable "
        "LINNET_SIGN_PASSWORD",
    )


def main(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from linnet.bundle import Bundle
    from linnet.errors import MissingExtraError, UsageError

    try:
        from linnet.signing import check_signature, new_key, sign
    except ModuleNotFoundError:
        raise MissingExtraError("cryptography", "sign") from None

    if arguments.new_key and not arguments.key:
        raise UsageError("--new-key goes with --key, which names the file of the key.")
    bundle = Bundle.read(arguments.bundle)
    if arguments.check:
        signed_by = check_signature(bundle, arguments.check)
        bundle.verify()
        print_line(f"{bundle.path} ({bundle.digest[:12]}) is whole, and signed by {signed_by}.")
        return
    if arguments.new_key:
        bundle.verify()
        public = new_key(arguments.key)
        print_line(
            f"The private key is in {arguments.key}: keep it secret. The public one: {public}."
        )
    print_line(f"Signed {bundle.path} ({bundle.digest[:12]}): {sign(bundle, arguments.key)}")
