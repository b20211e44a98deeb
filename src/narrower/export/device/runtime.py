"""The C functions that networks are made of, and which of them each one needs.

Rows: ``v`` holds ``n`` whole numbers, or the bits of float32 numbers; the functions whose names begin with
``real`` compute with the latter as IEEE 754 says, in whole numbers alone. A constant is ``k[i * step]``.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of C and the names of those that must stand before it."""

    text: str
    needs: tuple[str, ...] = ()


WINDOW = """\
typedef struct {
    int32_t channels, height, width, kernel_height, kernel_width;
    int32_t stride_y, stride_x, pad_y, pad_x, dilation_y, dilation_x, columns;
} window;
"""
WEIGHTS = """\
/* Weights in codes of a few bits, the lowest bit first; mask: the weights that are not zero. */
typedef struct {
    const uint8_t *codes, *mask;
    const int32_t *book;
    uint32_t bit, at;
    int32_t bits, low;
} weights;

static int32_t next_weight(weights *w)
{
    const uint8_t *p = w->codes + (w->bit >> 3);
    const uint32_t shift = w->bit & 7;
    uint32_t code, have = 8 - shift;
    if (w->mask) {
        const uint32_t at = w->at++;
        if (!(w->mask[at >> 3] >> (at & 7) & 1))
            return 0;
    }
    code = (uint32_t)*p >> shift;
    while (have < (uint32_t)w->bits) {
        code |= (uint32_t)*++p << have;
        have += 8;
    }
    if (w->bits < 32)
        code &= ((uint32_t)1 << w->bits) - 1;
    w->bit += (uint32_t)w->bits;
    return w->book ? w->book[code] : (int32_t)(w->low + (int64_t)code);
}
"""
LOADED = """\
static void load_@T@(int32_t *v, int32_t n, const @C@ *x, int32_t stride)
{
    int32_t i;
    for (i = 0; i < n; i++)
        @SET@;
}
"""
STORED = """\
static void store_@T@(@C@ *y, const int32_t *v, int32_t n, int32_t stride)
{
    int32_t i;
    for (i = 0; i < n; i++)
        @SET@;
}
"""
WHOLE: dict[str, Snippet] = {
    "add_each": Snippet("""\
static void add_each(int32_t *v, int32_t n, const int32_t *k, int32_t step)
{
    int32_t i;
    for (i = 0; i < n; i++)
        v[i] += k[i * step];
}
"""),
    "multiply": Snippet("""\
static void multiply(int32_t *v, int32_t n, int32_t factor)
{
    int32_t i;
    for (i = 0; i < n; i++)
        v[i] *= factor;
}
"""),
    "bound": Snippet("""\
static void bound(int32_t *v, int32_t n, int32_t low, int32_t high)
{
    int32_t i;
    for (i = 0; i < n; i++)
        v[i] = v[i] < low ? low : v[i] > high ? high : v[i];
}
"""),
    "shift_even": Snippet("""\
static void shift_even(int32_t *v, int32_t n, int32_t shift)
{
    const int32_t half = ((int32_t)1 << (shift - 1)) - 1;
    int32_t i;
    for (i = 0; i < n; i++)
        v[i] = (v[i] + half + (v[i] >> shift & 1)) >> shift;
}
"""),
    "shift_up": Snippet("""\
static void shift_up(int32_t *v, int32_t n, int32_t shift)
{
    const int32_t half = (int32_t)1 << (shift - 1);
    int32_t i;
    for (i = 0; i < n; i++)
        v[i] = (v[i] + half) >> shift;
}
"""),
    "shift_floor": Snippet("""\
static void shift_floor(int32_t *v, int32_t n, int32_t shift)
{
    int32_t i;
    for (i = 0; i < n; i++)
        v[i] >>= shift;
}
"""),
    "scale_up": Snippet("""\
static void scale_up(int32_t *v, int32_t n, int32_t shift, int32_t low, int32_t high)
{
    int32_t i;
    for (i = 0; i < n; i++) {
        const int64_t x = (int64_t)v[i] * ((int64_t)1 << shift);
        v[i] = x < low ? low : x > high ? high : (int32_t)x;
    }
}
"""),
    "wrapped": Snippet("""\
static int32_t wrapped(uint32_t x, int32_t bits, int32_t low)
{
    const uint32_t rest = x & (((uint32_t)1 << bits) - 1);
    return low < 0 && rest >> (bits - 1) ? (int32_t)rest - ((int32_t)1 << bits) : (int32_t)rest;
}
"""),
    "wrap": Snippet("""\
static void wrap(int32_t *v, int32_t n, int32_t bits, int32_t low)
{
    int32_t i;
    for (i = 0; i < n; i++)
        v[i] = wrapped((uint32_t)v[i], bits, low);
}
""", ("wrapped",)),
    "fit_each": Snippet("""\
static int32_t into(int64_t x, int32_t low, int32_t high, int32_t wraps)
{
    if (wraps) {
        const int64_t span = (int64_t)high - low + 1;
        const int64_t rest = (x - low) % span;
        return (int32_t)((rest < 0 ? rest + span : rest) + low);
    }
    return x < low ? low : x > high ? high : (int32_t)x;
}
"""),
    "shift_each": Snippet("""\
static void shift_each(int32_t *v, int32_t n, const int8_t *shifts, const int32_t *low, const int32_t *high,
                       int32_t wraps)
{
    int32_t i;
    for (i = 0; i < n; i++) {
        const int32_t s = shifts[i];
        const int64_t x = v[i];
        const int64_t y = s > 0 ? (x + ((int64_t)1 << (s - 1))) >> s : x * ((int64_t)1 << -s);
        v[i] = into(y, low[i], high[i], wraps);
    }
}
""", ("fit_each",)),
    "add_halves": Snippet("""\
static void add_halves(int32_t *v, int32_t size, int32_t step)
{
    int32_t half, i;
    for (; size > 1; size -= half) {
        half = size / 2;
        for (i = 0; i < half * step; i++)
            v[i] += v[half * step + i];
        for (i = half * step; size % 2 && i < (half + 1) * step; i++)
            v[i] = v[half * step + i];
    }
}
"""),
    "add": Snippet("""\
static void add(int32_t *v, const int32_t *u, int32_t n)
{
    int32_t i;
    for (i = 0; i < n; i++)
        v[i] += u[i];
}
"""),
    "maximum": Snippet("""\
static void maximum(int32_t *v, const int32_t *u, int32_t n)
{
    int32_t i;
    for (i = 0; i < n; i++)
        v[i] = v[i] > u[i] ? v[i] : u[i];
}
"""),
    "magnitude": Snippet("""\
static void magnitude(int32_t *v, int32_t n)
{
    int32_t i;
    for (i = 0; i < n; i++)
        v[i] = v[i] < 0 ? -v[i] : v[i];
}
"""),
}  # fmt: skip
