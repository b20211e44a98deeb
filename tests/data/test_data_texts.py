"""What a data set's text may say, and what is said of folders and files that are written otherwise."""

from pathlib import Path

import pytest
from PIL import Image

from narrower.data.catalogue import named_request
from narrower.data.datasets import load_data_set
from narrower.data.request import ENDINGS
from narrower.errors import DataError, NarrowerError, UnknownNameError


@pytest.mark.parametrize("folder", ["pics", "pics.v2", "./pics", "deep/down"])
def test_a_folder_without_its_slash_is_told_how_it_is_written(folder: str) -> None:
    Path(folder).mkdir(parents=True)
    if "/" in folder:  # a path is a folder's, with or without it
        assert named_request(folder).source == folder
        return
    with pytest.raises(UnknownNameError, match=f"written with a slash behind it, '{folder}/'"):
        named_request(f"{folder}?size=8,8")


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize("name", ["a.xlsx", "b.zip", "some/where/c"])
def test_a_file_that_is_not_read_is_told_which_are(name: str, is_there: bool) -> None:
    if is_there:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("x", encoding="utf-8")
    with pytest.raises(UnknownNameError) as caught:
        named_request(name)
    assert all(ending in str(caught.value) for ending in ENDINGS)
    assert ("no such file" in str(caught.value)) is not is_there


def test_names_that_are_listed_win_over_folders_and_others_stay_unknown() -> None:
    Path("digits").mkdir()
    assert named_request("digits").source == "digits"
    with pytest.raises(UnknownNameError, match="did you mean 'jets'"):
        named_request("jest")


def test_lists_of_numbers_may_have_brackets() -> None:
    plain = named_request("pics/?size=16,24&split=0.6,0.2,0.2")
    for text in ("pics/?size=[16,24]&split=[0.6, 0.2, 0.2]", "pics/?size=%5B16,24%5D&split=[0.6,0.2,0.2]"):
        assert named_request(text) == plain
    assert named_request(plain.text) == plain


@pytest.mark.parametrize("size", ["16", "[16]", "[16,0]", "16,16,3"])
def test_a_size_that_is_none_is_told_both_forms(size: str) -> None:
    with pytest.raises(DataError) as caught:
        named_request(f"pics/?size={size}")
    assert "size = [32, 32]" in str(caught.value)
    assert "?size=32,32" in str(caught.value)


@pytest.mark.parametrize("size", ["[16,16", "a,b", "16x16"])
def test_what_is_no_number_is_named(size: str) -> None:
    with pytest.raises(DataError, match=r"size: found '.*', expected a number"):
        named_request(f"pics/?size={size}")


def test_pictures_of_several_sizes_are_brought_to_one_as_the_message_says() -> None:
    for number in range(20):
        for name in ("cat", "dog"):
            Path("pics", name).mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 6 + (number == 0)), number * 9).save(f"pics/{name}/{number}.png")
    with pytest.raises(NarrowerError) as caught:
        load_data_set("pics/")
    assert "size = [6, 8]" in str(caught.value)
    wish = next(word for word in str(caught.value).split() if word.startswith("?size"))
    assert load_data_set(f"pics/{wish}").train.inputs.shape[1:] == (1, 6, 8)
