"""Plans in few words."""

from narrower.report.plan_text import interval_text, short_layer, short_plan, with_interval


def test_widths_stand_for_fixed_point_and_texts_for_everything_else() -> None:
    plan = {
        "a": {"data": "ufixed(8,frac=4)", "weight": "fixed(4,frac=2)"},
        "c": {
            "data": "affine(8,symmetric=false,scale=0.0125,zero=17)",
            "weight": "affine(4)",
            "bias": "binary(scale=0.37)",
        },
        "b": {"data": "e4m3fn", "weight": "minifloat(6,exponent=3,bias=9)", "bias": "fixed(8,frac=4)"},
    }
    assert (
        short_plan(plan) == "a u8/4/32; c "
        "affine(8,symmetric=false)/affine(4)/binary; b e4m3fn/minifloat(6,exponent=3,bias=9)/8"
    )


def test_of_many_layers_those_with_the_same_formats_are_counted() -> None:
    same = {
        f"block.{n}": {"data": "fixed(8,frac=4)", "weight": "fixed(4,frac=3)", "bias": "fixed(8,frac=4)"}
        for n in range(20)
    }
    plan = {**same, "head": {"data": "fixed(2,frac=1)"}, "stem": {"data": "fixed(2,frac=1)"}}
    assert short_plan(plan) == "20 layers 8/4/8; head, stem 2/32/32"


def test_numbers_of_channels_are_not_listed_where_plans_are_shown() -> None:
    fracs = "_".join(str(number % 7) for number in range(512))
    layer = {
        "data": "fixed(8,frac=4)",
        "weight": f"fixed_channels(3,fracs={fracs},rounding=half_up)",
        "bias": "affine(4,saturating=12)",
    }
    assert short_layer(layer) == "8/fixed_channels(3,rounding=half_up)/affine(4)"


def test_an_interval_of_numbers_below_zero_can_be_read() -> None:
    assert with_interval("r2", -3.8, (-5.17, -2.93)) == "-3.8 (-5.17 to -2.93)"
    assert interval_text("r2", (-0.1, 0.2)) == "-0.1 to 0.2"
    assert interval_text("r2", (0.1, 0.2)) == "0.1–0.2"
