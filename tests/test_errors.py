"""The exception tree: what each class carries, and that the drawing of it is true."""

import re

import pytest

from linnet import errors
from linnet.errors import LinnetError, MissingExtraError, TextError


def tree(
    base: type[LinnetError] = LinnetError, depth: int = 0
) -> list[tuple[int, type[LinnetError]]]:
    found = [(depth, base)]
    for child in base.__subclasses__():
        if child.__module__ == errors.__name__:
            found += tree(child, depth + 1)
    return found


CLASSES = [cls for _, cls in tree()]


def test_the_drawing_is_the_tree():
    line = re.compile(r"^    ([│├└─ ]*)(\w+) +exit (\d+) +HTTP (\d{3})", re.MULTILINE)
    drawn = [
        (len(art) // 4, name, int(code), int(status))
        for art, name, code, status in line.findall(errors.__doc__)
    ]
    real = [(depth, cls.__name__, cls.exit_code, cls.http_status) for depth, cls in tree()]
    assert drawn == real


def test_the_tree_holds_every_class_of_the_module():
    defined = [
        item
        for item in vars(errors).values()
        if isinstance(item, type) and item.__module__ == errors.__name__
    ]
    assert set(defined) == set(CLASSES)


@pytest.mark.parametrize("cls", CLASSES)
def test_each_class_carries_what_programs_need(cls):
    assert 1 <= cls.exit_code <= 125 or cls is errors.StoppedError  # which is as if by the signal
    assert 400 <= cls.http_status <= 599
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", cls.code)
    assert cls.__doc__.strip().splitlines()[0].endswith(".")


def test_codes_tell_the_classes_apart():
    assert len({cls.code for cls in CLASSES}) == len(CLASSES)


def test_a_missing_extra_says_how_to_install_it():
    assert str(MissingExtraError("torch", "train")) == (
        "This needs the package 'torch', which is not installed. Install it with: pip install 'linnet-text[train]'"
    )


def test_a_text_error_can_be_counted():
    error = TextError("nul_byte", "The text holds a NUL byte.")
    assert (error.reason, str(error)) == ("nul_byte", "The text holds a NUL byte.")
