"""The shape is told from its likes."""

import pytest

from linnet.data.sources.sentiment140 import matches

LINE = b'"0","1","Mon","NO_QUERY","eve","it is ""so"" late, \xe9"\n'


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([LINE] * 3, True),
        ([LINE, b"\n", LINE.replace(b'"0"', b'"4"', 1), LINE.replace(b'"0"', b'"2"', 1)], True),
        ([], False),
        ([b"\n"], False),
        ([b"text,label\n", LINE], False),
        ([LINE.replace(b'"0"', b'"1"', 1)], False),
        ([b'"0","1","five","quoted","columns"\n'], False),
        ([b'"0","1","Mon","NO_QUERY","eve","late","seven"\n'], False),
    ],
)
def test_matches(lines: list[bytes], expected: bool) -> None:
    assert matches(lines) is expected
