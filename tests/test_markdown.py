"""Text of others stays text inside of Markdown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linnet.markdown import code, inline


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("very_positive", r"very\_positive"),
        ("good)\n\n## How good it is\n\n- 99 %", r"good) \#\# How good it is - 99 %"),
        ("![x](http://host/x.png)", r"!\[x\](http://host/x.png)"),
        ("<img src=x onerror=alert(1)>", r"\<img src=x onerror=alert(1)\>"),
        ("a|b `c` *d* ~e~ $f$ &lt; g\\", r"a\|b \`c\` \*d\* \~e\~ \$f\$ \&lt; g" + "\\\\"),
        ("a\u2028b\x85c\x1b[31m\u202e", r"a b c\\x1b\[31m\\u202e"),
        ("", ""),
    ],
)
def test_markup_is_escaped(text, expected):
    assert inline(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("an/encoder", "`an/encoder`"),
        ("a`b", "`` a`b ``"),
        ("``\n\n# x", "``` `` # x ```"),
    ],
)
def test_a_code_span_is_closed_by_its_own_fence_alone(text, expected):
    assert code(text) == expected


@given(st.text(st.characters()))
def test_any_text_is_one_line(text):
    assert len(f"a{inline(text)}b".splitlines()) == 1
    assert len(code(text).splitlines()) == 1
