"""A processor can be made to count as one without dot products of bytes."""

import platform

import pytest

from narrower.errors import SettingsError
from narrower.evaluate import processor
from narrower.evaluate.processor import SWITCH, multiplies_bytes_fast, saturates_pairs


def test_the_switch_makes_any_processor_count_as_one_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "off")
    assert (multiplies_bytes_fast(), saturates_pairs()) == (False, True)


@pytest.mark.parametrize(
    ("machine", "has_products", "saturates"),
    [("x86_64", True, False), ("x86_64", False, True), ("aarch64", False, False), ("AMD64", False, True)],
)
def test_x86_without_dot_products_saturates(
    machine: str, has_products: bool, saturates: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(processor, "_has_byte_dot_products", lambda: has_products)
    assert (multiplies_bytes_fast(), saturates_pairs()) == (has_products, saturates)


def test_another_value_of_the_switch_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "no")
    with pytest.raises(SettingsError, match="NARROWER_VNNI is 'no'; it is either 'off'"):
        multiplies_bytes_fast()
