"""C functions that apply operators and roundings to arrays of float32 numbers held as bits."""

from narrower.export.device.runtime import Snippet

REAL_ARRAYS: dict[str, Snippet] = {
    "real_of": Snippet("""\
static void real_of(int32_t *v, int32_t n, int32_t frac)
{
    int32_t i;
    for (i = 0; i < n; i++) {
        const uint32_t sign = v[i] < 0 ? 0x80000000u : 0;
        ((uint32_t *)v)[i] = real_pack(sign, -frac, sign ? (uint64_t)-(int64_t)v[i] : (uint64_t)v[i]);
    }
}
""", ("real_pack",)),
    "real_of_wide": Snippet("""\
static void real_of_wide(int32_t *v, const int64_t *x, int32_t n, int32_t frac)
{
    int32_t i;
    for (i = 0; i < n; i++) {
        const uint32_t sign = x[i] < 0 ? 0x80000000u : 0;
        ((uint32_t *)v)[i] = real_pack(sign, -frac, sign ? (uint64_t)-x[i] : (uint64_t)x[i]);
    }
}
""", ("real_pack",)),
    "real_add_each": Snippet("""\
static void real_add_each(int32_t *v, int32_t n, const uint32_t *k, int32_t step)
{
    uint32_t *r = (uint32_t *)v;
    int32_t i;
    for (i = 0; i < n; i++)
        r[i] = real_sum(r[i], k[i * step]);
}
""", ("real_sum",)),
    "real_multiply_each": Snippet("""\
static void real_multiply_each(int32_t *v, int32_t n, const uint32_t *k, int32_t step)
{
    uint32_t *r = (uint32_t *)v;
    int32_t i;
    for (i = 0; i < n; i++)
        r[i] = real_product(r[i], k[i * step]);
}
""", ("real_product",)),
    "real_divide_each": Snippet("""\
static void real_divide_each(int32_t *v, int32_t n, const uint32_t *k, int32_t step)
{
    uint32_t *r = (uint32_t *)v;
    int32_t i;
    for (i = 0; i < n; i++)
        r[i] = real_quotient(r[i], k[i * step]);
}
""", ("real_quotient",)),
    "real_bound": Snippet("""\
static void real_bound(int32_t *v, int32_t n, uint32_t low, uint32_t high)
{
    const int32_t least = real_key(low), most = real_key(high);
    uint32_t *r = (uint32_t *)v;
    int32_t i;
    for (i = 0; i < n; i++) {
        const int32_t key = real_key(r[i]);
        r[i] = key < least ? low : key > most ? high : r[i];
    }
}
""", ("real_key",)),
    "real_leak": Snippet("""\
static void real_leak(int32_t *v, int32_t n, const uint32_t *k, int32_t step)
{
    uint32_t *r = (uint32_t *)v;
    int32_t i;
    for (i = 0; i < n; i++)
        if (r[i] >> 31)
            r[i] = real_product(r[i], k[i * step]);
}
""", ("real_product",)),
    "real_sign": Snippet("""\
static void real_sign(int32_t *v, int32_t n, uint32_t kept, uint32_t flipped)
{
    uint32_t *r = (uint32_t *)v;
    int32_t i;
    for (i = 0; i < n; i++)
        r[i] = (r[i] & kept) ^ flipped;
}
"""),
    "real_steps": Snippet("""\
static void real_steps(int32_t *v, int32_t n, int32_t frac, int32_t mode, int32_t low, int32_t high)
{
    int32_t i;
    for (i = 0; i < n; i++) {
        const int64_t x = real_whole(((uint32_t *)v)[i], frac, mode);
        v[i] = x < low ? low : x > high ? high : (int32_t)x;
    }
}
""", ("real_whole",)),
    "real_wrap": Snippet("""\
static void real_wrap(int32_t *v, int32_t n, int32_t frac, int32_t mode, int32_t bits, int32_t low)
{
    int32_t i;
    for (i = 0; i < n; i++)
        v[i] = wrapped((uint32_t)real_whole(((uint32_t *)v)[i], frac, mode), bits, low);
}
""", ("real_whole", "wrapped")),
    "real_steps_each": Snippet("""\
static void real_steps_each(int32_t *v, int32_t n, const int8_t *fracs, const int32_t *low,
                            const int32_t *high, int32_t wraps)
{
    int32_t i;
    for (i = 0; i < n; i++)
        v[i] = into(real_whole(((uint32_t *)v)[i], fracs[i], 1), low[i], high[i], wraps);
}
""", ("real_whole", "fit_each")),
    "real_table": Snippet("""\
static void real_table(int32_t *v, int32_t n, const int32_t *keys, int32_t count, const int32_t *values)
{
    int32_t i;
    for (i = 0; i < n; i++) {
        const int32_t key = real_key(((uint32_t *)v)[i]);
        int32_t first = 0, end = count;
        while (first < end) {
            const int32_t middle = (first + end) >> 1;
            if (keys[middle] <= key)
                first = middle + 1;
            else
                end = middle;
        }
        v[i] = values[first];
    }
}
""", ("real_key",)),
    "real_softmax": Snippet("""\
/* In steps of 2**-16. k: exp(-i) for i up to 21, then exp(-j / 16**g) for each digit g; 2**31 is one. */
static void real_softmax(int32_t *v, int32_t n, const uint32_t *k)
{
    uint32_t *r = (uint32_t *)v, largest = r[0];
    uint64_t sum = 0;
    int32_t i, g;
    for (i = 1; i < n; i++)
        if (real_key(r[i]) > real_key(largest))
            largest = r[i];
    for (i = 0; i < n; i++) {
        const int64_t t = real_whole(real_sum(largest, r[i] ^ 0x80000000u), 24, 0);
        uint64_t e = 0;
        if (t < (int64_t)22 << 24) {
            e = k[t >> 24];
            for (g = 0; g < 6; g++)
                e = (e * k[22 + 16 * g + (t >> (20 - 4 * g) & 15)] + 0x40000000u) >> 31;
        }
        r[i] = (uint32_t)e;
        sum += e;
    }
    for (i = 0; i < n; i++)
        r[i] = (uint32_t)((((uint64_t)r[i] << 17) / sum + 1) >> 1);
}
""", ("real_key", "real_whole", "real_sum")),
    "real_add_halves": Snippet("""\
static void real_add_halves(int32_t *v, int32_t size, int32_t step)
{
    uint32_t *r = (uint32_t *)v;
    int32_t half, i;
    for (; size > 1; size -= half) {
        half = size / 2;
        for (i = 0; i < half * step; i++)
            r[i] = real_sum(r[i], r[half * step + i]);
        for (i = half * step; size % 2 && i < (half + 1) * step; i++)
            r[i] = r[half * step + i];
    }
}
""", ("real_sum",)),
    "real_add": Snippet("""\
static void real_add(int32_t *v, const int32_t *u, int32_t n)
{
    uint32_t *r = (uint32_t *)v;
    int32_t i;
    for (i = 0; i < n; i++)
        r[i] = real_sum(r[i], (uint32_t)u[i]);
}
""", ("real_sum",)),
    "real_multiply": Snippet("""\
static void real_multiply(int32_t *v, const int32_t *u, int32_t n)
{
    uint32_t *r = (uint32_t *)v;
    int32_t i;
    for (i = 0; i < n; i++)
        r[i] = real_product(r[i], (uint32_t)u[i]);
}
""", ("real_product",)),
    "real_maximum": Snippet("""\
static void real_maximum(int32_t *v, const int32_t *u, int32_t n)
{
    int32_t i;
    for (i = 0; i < n; i++)
        if (real_key((uint32_t)u[i]) > real_key((uint32_t)v[i]))
            v[i] = u[i];
}
""", ("real_key",)),
}  # fmt: skip
