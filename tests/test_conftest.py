"""The bundles that tests share; `make test-lowest` runs this file to make them."""

from linnet.bundle import Bundle


def test_the_bundles_are_whole_and_made_once(bundle, tone_bundle, once):
    for name, path in (("bundle", bundle), ("tone_bundle", tone_bundle)):
        Bundle.read(path).verify()
        assert once(name, lambda folder: 1 / 0) == path
