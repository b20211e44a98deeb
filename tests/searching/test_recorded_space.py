import pytest

from narrower.errors import RunError
from narrower.plan.formats.fixed import FixedPoint
from narrower.plan.plan import LayerPlan, plan_from_dict
from narrower.searching.recorded_space import RecordedSpace, recorded_space
from narrower.searching.space import Choice, Space, make_slot
from narrower.searching.space_record import describe_space


def layer_slot(name: str, widths: tuple[int, ...]) -> object:
    choice = Choice(f"{name}.weight_width", widths)
    fragments = {
        (position,): ((name, LayerPlan(weight=FixedPoint(width, width // 2))),)
        for position, width in enumerate(widths)
    }
    return make_slot(name, [choice], fragments)


def test_plans_read_back_are_those_of_the_space() -> None:
    space = Space((layer_slot("b", (2, 4, 8)), layer_slot("a", (3, 5))))  # type: ignore[arg-type]
    read = recorded_space({"space slots": describe_space(space)})
    assert read.size == space.size == 6
    for index in range(6):
        assert plan_from_dict(read.plan(index)) == space.plan(space.options_at(index))
    assert read.options(range(6)).tolist() == [list(space.options_at(index)) for index in range(6)]
    assert list(read.plan(0)) == ["b", "a"]  # in the order of the network, not of names


def test_numbers_beyond_64_bits_are_read() -> None:
    slot = tuple({"layer": {"weight": f"fixed({bits},frac=0)"}} for bits in range(2, 18))
    space = RecordedSpace((slot,) * 20)  # 16**20 = 2**80 plans
    assert space.options([2**80 - 1, 15 * 16**19]).tolist() == [[15] * 20, [15] + [0] * 19]


def test_features_are_levels_from_the_smallest_to_the_largest() -> None:
    space = Space((layer_slot("b", (8, 2, 4)),))  # type: ignore[arg-type]
    (feature,) = recorded_space({"space slots": describe_space(space)}).features
    assert (feature.name, feature.labels, feature.sizes) == ("b.weight", ("2", "4", "8"), (2, 4, 8))
    assert feature.level_of == (2, 0, 1)  # of the options in their order: 8, 2, 4


def test_formats_of_one_width_are_told_apart_by_their_text() -> None:
    texts = ["fixed(8,frac=4)", "fixed(8,frac=6)"]
    space = RecordedSpace((tuple({"b": {"weight": text}} for text in texts),))
    (feature,) = space.features
    assert feature.labels == tuple(texts)


def test_a_layer_that_an_option_does_not_name_is_float32() -> None:
    space = RecordedSpace((({"b": {"weight": "fixed(4,frac=2)"}}, {}),))
    (feature,) = space.features
    assert (feature.labels, feature.level_of) == (("4", "32"), (0, 1))


def test_layers_that_always_agree_are_one_feature() -> None:
    option = [{"a": {"width": 0.5}, "b": {"width": 0.5}}, {}]
    (feature,) = RecordedSpace((tuple(option),)).features  # type: ignore[arg-type]
    assert (feature.layers, feature.name) == (("a", "b"), "a (+1).width")
    assert feature.labels == ("0.5", "1")


@pytest.mark.parametrize("slots", [None, [], [[{"a": {"weight": "nonsense(3)"}}]], [["a"]], [[{"a": 3}]]])
def test_facts_that_hold_no_space_are_refused(slots: object) -> None:
    with pytest.raises(RunError, match=r"another version|cannot be read"):
        recorded_space({"space slots": slots})
