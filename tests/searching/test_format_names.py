"""Names of formats in a search space: which plans they give, and what is said of names that are none."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from narrower.errors import SettingsError
from narrower.graph.trace import trace
from narrower.models.build import build_model
from narrower.plan.plan import LayerPlan
from narrower.searching.build_space import build_space
from narrower.searching.space import Space
from narrower.settings.convert_space import space_settings
from narrower.settings.schema import RunSettings

NETWORK = trace(build_model("jsc-tiny"), torch.randn(3, 16), "jsc-tiny").network
WIDTHS = {"data_in_width": [8], "weight_width": [4, 8], "bias_width": [8]}


def space_of(config: Mapping[str, Any], kind: str = "quantize") -> Space:
    settings = RunSettings.model_validate(
        {
            "model": "jsc-tiny",
            "dataset": "jets",
            "search": {
                "search_space": {"name": kind, "seed": {"seq_blocks_2": {"config": config}}},
                "strategy": {"setup": {"sampler": "brute_force"}, "metrics": {"accuracy": {}}},
            },
        }
    )
    return build_space(NETWORK, space_settings(settings), lambda _layer, _operand, width: width // 2)


def plans(space: Space) -> list[tuple[str, str, str]]:
    found: list[LayerPlan] = [space.plan(options).layer("seq_blocks.2") for options in space.enumerate()]
    return [(plan.data.text, plan.weight.text, plan.bias.text) for plan in found]


def test_the_kind_of_format_is_a_choice_like_the_others() -> None:
    floats = {f"{operand}_exponent_width": [2] for operand in ("data_in", "weight", "bias")}
    found = plans(space_of({"name": ["integer", "minifloat_ieee", "e4m3fn", "NA"], **WIDTHS, **floats}))
    fixed, wide = "fixed(8,frac=4)", "minifloat(8,exponent=2,bias=1)"
    assert sorted(found) == sorted(
        [
            (fixed, "fixed(4,frac=2)", fixed),
            (fixed, fixed, fixed),
            (wide, "e2m1", wide),  # 4 bits, 2 of them the exponent, is what FP4 is
            (wide, wide, wide),
            ("e4m3fn", "e4m3fn", "float32"),
            ("float32", "float32", "float32"),
        ]
    )


def test_the_fields_of_the_peer_are_those_of_the_format() -> None:
    config = {
        "name": ["minifloat_denorm"],
        **{"data_in_width": ["NA"], "weight_width": [8], "bias_width": ["NA"]},
        **{"data_in_exponent_width": [4], "weight_exponent_width": [3, 4], "bias_exponent_width": [4]},
        "weight_exponent_bias": [5, "none"],
    }
    texts = [f"minifloat_denorm(8,exponent={e},bias={bias})" for e, bias in ((3, 5), (3, 3), (4, 5), (4, 7))]
    found = plans(space_of(config, "graph/quantize/mixed_precision_ptq"))
    assert found == [("float32", text, "float32") for text in texts]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"name": ["minifloat_ieee"], **WIDTHS}, "seq_blocks.2.config.data_in_exponent_width: missing"),
        (
            {"name": ["integer"], **WIDTHS, "weight_exponent_width": [4]},
            "weight_exponent_width: means nothing",
        ),
        (
            {"name": ["e4m3fn"], "weight_per": ["channel"]},
            r"weight_per: means nothing for name = \['e4m3fn'\]; read by fixed_channels, affine, binary",
        ),
        (
            {"name": ["fixed"], **WIDTHS, "weight_per": ["group32"]},
            "weight_per = 'group32': fixed point has fractions for each tensor or channel",
        ),
        (
            {"name": ["fixed"], **WIDTHS, "weight_per": ["channel"], "weight_frac_width": [3]},
            "weight_frac_width = 3.*allowed: 'auto'",
        ),
        ({"name": ["e4m3fn"], **WIDTHS}, r"data_in_width: means nothing for name = \['e4m3fn'\]"),
        (
            {
                "name": ["minifloat"],
                **WIDTHS,
                **{f"{o}_exponent_width": [4] for o in ("data_in", "weight", "bias")},
            },
            r"weight_width = 4, weight_exponent_width = 4, .*no room",
        ),
    ],
)
def test_what_makes_no_format_is_named_with_its_key(config: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        space_of(config)


@pytest.mark.parametrize(("name", "nearest"), [("block_minifloat", "mxfp8"), ("block_log", "log")])
def test_a_format_that_does_not_exist_is_refused_by_name(name: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=rf"found '{name}' \(.*nearest: '{nearest}'"):
        space_of({"name": [name], **WIDTHS})


def test_keys_that_no_format_reads_are_passed_over_in_the_peers_files() -> None:
    config = {"name": ["integer"], **WIDTHS, "weight_exponent_width": [4], "weight_exponent_bias": [3]}
    assert space_of(config, "graph/quantize/mixed_precision_ptq").size == 2


def test_affine_weights_have_scales_of_their_own_and_data_one_that_holds_their_range() -> None:
    config = {
        "name": ["affine"],
        **{"data_in_width": [8], "weight_width": [4], "bias_width": [8]},
        **{"weight_per": ["tensor", "channel", "group32"], "weight_scales": ["free", "power_of_two"]},
    }
    weights = [
        f"affine(4{per}{scales})" for per in ("", ",per=channel", ",per=group32") for scales in ("", POWERS)
    ]
    # From -1 to 1: 2 / 255 in 16 bits, of which 1 are 127.498.
    data = f"affine(8,symmetric=false,scale={32897 / 2**22!r},zero=127)"
    found = plans(space_of(config))
    assert sorted(weight for _, weight, _ in found) == sorted(weights)
    assert {data for data, _, _ in found} == {data}
    assert {bias for _, _, bias in found} == {"affine(8)"}


def test_fixed_point_has_fractions_for_each_channel_where_weights_are_said_to_have_scales_for_each() -> None:
    fixed = {"name": ["fixed"], **WIDTHS, "weight_per": ["tensor", "channel"]}
    assert plans(space_of(fixed))[:2] == [
        ("fixed(8,frac=4)", "fixed(4,frac=2)", "fixed(8,frac=4)"),
        ("fixed(8,frac=4)", "fixed_channels(4,fracs=2)", "fixed(8,frac=4)"),  # what stands in for calibration
    ]
    beside = {"name": ["fixed", "binary"], **WIDTHS, "weight_per": ["channel"]}
    assert plans(space_of(beside))[0][1] == "fixed(4,frac=2)"  # as before: binary weights read it
    with pytest.raises(SettingsError, match=r"name: found 'fixed_channels'.*values of their own"):
        space_of(fixed, "quantize_and_resize")


def test_each_name_of_the_peer_gives_its_formats_over_the_axis_that_is_summed() -> None:
    floats = {
        f"{o}_{key}": [v]
        for o in ("data_in", "weight", "bias")
        for key, v in (("exponent_width", 8), ("block_size", [1, 4]))
    }
    config = {
        "name": ["block_fp", "log", "binary", "ternary", "mxfp4", "mxint8"],
        **{"data_in_width": [8], "weight_width": [4], "bias_width": ["NA"]},
        **floats,
        **{"weight_bipolar": [True], "weight_stochastic": [False], "weight_scaling_factor": [False]},
    }
    assert plans(space_of(config)) == [
        ("block_fp(8,block=4)", "block_fp(4,block=4)", "float32"),
        ("log(8,bias=63)", "log(4,bias=3)", "float32"),
        ("binary(scale=0.5)", "binary", "float32"),  # the mean magnitude of what stands in for data
        ("ternary(scale=0.75,threshold=0.375)", "ternary(scale=1.0)", "float32"),
        ("mxfp4", "mxfp4", "float32"),
        ("mxint8", "mxint8", "float32"),
    ]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("weight_bipolar", False, "0 and 1 are 'fixed'"),
        ("weight_stochastic", True, "not rounded at random"),
        ("weight_block_size", [4, 4], "blocks along one axis"),
        ("weight_per", "row", "tensor, channel"),
    ],
)
def test_options_that_have_no_meaning_here_are_refused(key: str, value: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        space_of({"name": ["binary"], **WIDTHS, key: [value]})


POWERS = ",scales=power_of_two"


def test_formats_that_follow_from_data_are_refused_where_candidates_have_data_of_their_own() -> None:
    with pytest.raises(SettingsError, match=r"name: found 'affine'.*values of their own"):
        space_of({"name": ["affine"], **WIDTHS}, "quantize_and_resize")
