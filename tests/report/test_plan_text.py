"""Plans in few words."""

from narrower.report.plan_text import short_plan


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
