"""Fixed point: its range, its text form and what it refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from narrower.errors import SettingsError
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.formats.text import parse_format


@given(st.integers(1, 32), st.integers(-64, 64), st.booleans())
def test_the_text_form_reads_back(width: int, frac: int, signed: bool) -> None:
    number_format = FixedPoint(width, frac, signed)
    assert parse_format(number_format.text) == number_format


def test_a_signed_format_of_width_w_has_2_to_the_w_values() -> None:
    for width in range(1, 20):
        low, high = FixedPoint(width, 3).integer_range
        assert high - low + 1 == 2**width
        assert low == -high - 1


def test_na_is_half_the_width_rounded_down() -> None:
    assert parse_format("fixed(5,frac=NA)") == FixedPoint(5, 2)
    assert parse_format("fixed(8, frac = NA)") == FixedPoint(8, 4)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fixd(8,frac=4)", "fixed"),
        ("fixed(0,frac=0)", "1 to 32"),
        ("fixed(33,frac=0)", "33"),
        ("fixed(8)", "fixed(8"),
        ("fixed(8,frac=99)", "99"),
        ("", "float32"),
    ],
)
def test_other_text_is_refused_with_words(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said.replace("(", r"\(")):
        parse_format(text)
