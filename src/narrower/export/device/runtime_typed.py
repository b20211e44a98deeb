"""C functions that exist once for each type of what they read: products, windows, loading and storing."""

from narrower.export.device.runtime import LOADED, STORED, WEIGHTS, WHOLE, WINDOW, Snippet
from narrower.export.device.runtime_real import REAL
from narrower.export.device.runtime_real_arrays import REAL_ARRAYS

SHORT = {"uint8_t": "u8", "int8_t": "s8", "uint16_t": "u16", "int16_t": "s16", "int32_t": "s32",
         "uint32_t": "real", "float": "float", "int64_t": "s64"}  # fmt: skip
PACKED = "packed"
CONVOLVE = """\
static void @NAME@(@A@ *v, const @X@ *x, @W@ *w, const window *g, int32_t row)
{
    int32_t i, j, k, c;
    for (i = 0; i < g->columns; i++)
        v[i] = 0;
    for (c = 0; c < g->channels; c++, x += g->height * g->width)
        for (j = 0; j < g->kernel_height; j++) {
            const int32_t y = row * g->stride_y - g->pad_y + j * g->dilation_y;
            for (k = 0; k < g->kernel_width; k++) {
                const @A@ weight = @NEXT@;
                const int32_t s = g->stride_x, left = k * g->dilation_x - g->pad_x;
                const int32_t room = g->width - left + s - 1;
                const int32_t first = left >= 0 ? 0 : s == 1 ? -left : (-left + s - 1) / s;
                int32_t end = room < 0 ? 0 : s == 1 ? room : room / s;
                const @X@ *p;
                if (end > g->columns)
                    end = g->columns;
                if (weight == 0 || y < 0 || y >= g->height || first >= end)
                    continue;
                p = x + y * g->width + left + first * s;
                if (s == 1)
                    for (i = first; i < end; i++)
                        v[i] += weight * p[i - first];
                else
                    for (i = first; i < end; i++)
                        v[i] += weight * p[(i - first) * s];
            }
        }
}
"""
DOT = """\
static void @NAME@(@A@ *v, const @X@ *x, @W@ *w, int32_t inputs, int32_t outputs)
{
    int32_t o, i;
    for (o = 0; o < outputs; o++) {
        @A@ sum = 0;
        for (i = 0; i < inputs; i++)
            sum += (@A@)@NEXT@ * x[i];
        v[o] = sum;
    }
}
"""
POOL = """\
static void @NAME@(int32_t *v, const @X@ *x, const window *g, int32_t row)
{
    int32_t i, j, k;
    for (i = 0; i < g->columns; i++) {
        int32_t found = @START@;
        for (j = 0; j < g->kernel_height; j++) {
            const int32_t y = row * g->stride_y - g->pad_y + j * g->dilation_y;
            for (k = 0; k < g->kernel_width; k++) {
                const int32_t at = i * g->stride_x - g->pad_x + k * g->dilation_x;
                if (y >= 0 && y < g->height && at >= 0 && at < g->width) {
                    const @X@ next = x[y * g->width + at];
                    @TAKE@
                }
            }
        }
        v[i] = found;
    }
}
"""
TAKES = {
    "largest": ("INT32_MIN", "found = next > found ? next : found;"),
    "sum": ("0", "found += next;"),
}
REAL_TAKES = {
    "largest": (
        "(int32_t)0xff800000u",
        "found = real_key(next) > real_key((uint32_t)found) ? (int32_t)next : found;",
    ),
    "sum": ("0", "found = (int32_t)real_sum((uint32_t)found, next);"),
}
REAL_NEEDS = {"largest": "real_key", "sum": "real_sum"}


def product_name(kind: str, sums: str, data: str, held: str) -> str:
    """The name of the function of a product; ``held`` is the type of the weights, or ``PACKED``."""
    wide = "_wide" if sums == "int64_t" else ""
    return f"{kind}_{SHORT[data]}_{SHORT.get(held, held)}{wide}"


def library() -> dict[str, Snippet]:
    """Every function by its name, each after those that it needs."""
    found = {"window": Snippet(WINDOW), "weights": Snippet(WEIGHTS), **WHOLE, **REAL, **REAL_ARRAYS}
    for kind, short in SHORT.items():
        if kind == "int64_t":
            continue
        found[f"load_{short}"] = _load(kind, short)
        found[f"store_{short}"] = _store(kind, short)
        if kind != "float":
            found |= {f"{take}_{short}": _pool(take, kind) for take in TAKES}
    for sums in ("int32_t", "int64_t"):
        for data in ("uint8_t", "int8_t", "uint16_t", "int16_t", "int32_t"):
            for held in ("int8_t", "int16_t", "int32_t", PACKED):
                for kind, text in (("convolve", CONVOLVE), ("dot", DOT)):
                    name = product_name(kind, sums, data, held)
                    found[name] = _product(text, name, sums, data, held)
    return found


def _product(text: str, name: str, sums: str, data: str, held: str) -> Snippet:
    is_packed = held == PACKED
    weight = "weights" if is_packed else f"const {held}"
    following = "next_weight(w)" if is_packed else "*w++"
    filled = text.replace("@NAME@", name).replace("@A@", sums).replace("@X@", data)
    needs = (*(("window",) if "window" in text else ()), *(("weights",) if is_packed else ()))
    return Snippet(filled.replace("@W@", weight).replace("@NEXT@", following), needs)


def _pool(take: str, kind: str) -> Snippet:
    is_real = kind == "uint32_t"
    start, step = (REAL_TAKES if is_real else TAKES)[take]
    text = POOL.replace("@NAME@", f"{take}_{SHORT[kind]}").replace("@X@", kind)
    needs = ("window", REAL_NEEDS[take]) if is_real else ("window",)
    return Snippet(text.replace("@START@", start).replace("@TAKE@", step), needs)


def _store(kind: str, short: str) -> Snippet:
    step = "memcpy(y + i * stride, v + i, 4)" if kind == "float" else f"y[i * stride] = ({kind})v[i]"
    return Snippet(STORED.replace("@T@", short).replace("@C@", kind).replace("@SET@", step))


def _load(kind: str, short: str) -> Snippet:
    if kind == "float":
        step = "memcpy(v + i, x + i * stride, 4)"
    elif kind == "uint32_t":
        step = "((uint32_t *)v)[i] = x[i * stride]"
    else:
        step = "v[i] = x[i * stride]"
    return Snippet(LOADED.replace("@T@", short).replace("@C@", kind).replace("@SET@", step))


LIBRARY = library()
