"""C functions that compute with the bits of float32 numbers, as IEEE 754 says, in whole numbers alone."""

from narrower.export.device.runtime import Snippet

REAL: dict[str, Snippet] = {
    "real_pack": Snippet("""\
/* m * 2**e as float32: to the nearest, ties to even. */
static uint32_t real_pack(uint32_t sign, int32_t e, uint64_t m)
{
    uint64_t rest = m;
    int32_t top = 0, drop, i;
    if (m == 0)
        return sign;
    for (i = 32; i > 0; i >>= 1)
        if (rest >> i) {
            rest >>= i;
            top += i;
        }
    drop = top - 23;
    if (e + drop < -149)
        drop = -149 - e;
    if (drop > 62)
        return sign;
    if (drop > 0) {
        const uint64_t half = (uint64_t)1 << (drop - 1);
        rest = m & ((half << 1) - 1);
        m >>= drop;
        if (rest > half || (rest == half && (m & 1)))
            m++;
    } else {
        m <<= -drop;
    }
    e += drop;
    if (m >> 24) {
        m >>= 1;
        e++;
    }
    if (!(m >> 23))
        return sign | (uint32_t)m;
    if (e > 104)
        return sign | 0x7f800000u;
    return sign | (uint32_t)(e + 150) << 23 | ((uint32_t)m & 0x7fffffu);
}
"""),
    "real_open": Snippet("""\
/* The magnitude of a float32 is m * 2**e. */
static uint32_t real_open(uint32_t x, int32_t *e)
{
    const uint32_t field = x >> 23 & 255, m = x & 0x7fffffu;
    *e = field ? (int32_t)field - 150 : -149;
    return field ? m | 0x800000u : m;
}
"""),
    "real_sum": Snippet("""\
static uint32_t real_sum(uint32_t a, uint32_t b)
{
    int32_t ea, eb;
    int64_t x, y;
    uint32_t m;
    if ((a & 0x7fffffffu) < (b & 0x7fffffffu)) {
        m = a;
        a = b;
        b = m;
    }
    x = real_open(a, &ea);
    y = real_open(b, &eb);
    if (y == 0)
        return x == 0 ? a & b : a;
    if (ea - eb > 38)
        return a;
    x *= (int64_t)1 << (ea - eb);
    x += (a ^ b) >> 31 ? -y : y;
    return x ? real_pack(a & 0x80000000u, eb, (uint64_t)x) : 0;
}
""", ("real_pack", "real_open")),
    "real_product": Snippet("""\
static uint32_t real_product(uint32_t a, uint32_t b)
{
    int32_t ea, eb;
    const uint64_t m = (uint64_t)real_open(a, &ea) * real_open(b, &eb);
    return real_pack((a ^ b) & 0x80000000u, ea + eb, m);
}
""", ("real_pack", "real_open")),
    "real_quotient": Snippet("""\
static uint32_t real_quotient(uint32_t a, uint32_t b)
{
    int32_t ea, eb;
    const uint64_t x = (uint64_t)real_open(a, &ea) << 38, y = real_open(b, &eb);
    return real_pack((a ^ b) & 0x80000000u, ea - eb - 39, x / y << 1 | (x % y != 0));
}
""", ("real_pack", "real_open")),
    "real_key": Snippet("""\
static int32_t real_key(uint32_t x)
{
    return x >> 31 ? -(int32_t)(x & 0x7fffffffu) : (int32_t)x;
}
"""),
    "real_whole": Snippet("""\
/* x * 2**frac as a whole number: ties to even (mode 0) or upwards (1), or down (2). */
static int64_t real_whole(uint32_t x, int32_t frac, int32_t mode)
{
    int32_t e, drop;
    int64_t down, rest, half;
    const int64_t m = real_open(x, &e);
    const int32_t negative = (int32_t)(x >> 31);
    e += frac;
    if (e >= 0) {
        down = m * ((int64_t)1 << (e > 32 ? 32 : e));
        return negative ? -down : down;
    }
    drop = e < -40 ? 40 : -e;
    down = m >> drop;
    rest = m - (down << drop);
    half = (int64_t)1 << (drop - 1);
    if (mode == 0)
        down += rest > half || (rest == half && (down & 1));
    else if (mode == 1)
        down += negative ? rest > half : rest >= half;
    else
        down += negative && rest > 0;
    return negative ? -down : down;
}
""", ("real_open",)),
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
