"""C functions that compute with the bits of one float32 number, as IEEE 754 says, in whole numbers alone."""

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
}  # fmt: skip
