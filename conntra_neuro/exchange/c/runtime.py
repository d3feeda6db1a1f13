"""The C99 functions that generated code calls, each emitted only where it is used; ``NAME`` stands for the prefix."""

from __future__ import annotations

__all__ = ["FUNCTIONS", "functions"]

FUNCTIONS: dict[str, str] = {
    "popcount": """
static inline NAME_sum NAME_popcount(uint32_t x)
{
    x -= (x >> 1) & 0x55555555u;
    x = (x & 0x33333333u) + ((x >> 2) & 0x33333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0fu;
    return (NAME_sum)((x * 0x01010101u) >> 24);
}
""",
    "ones": """
/* Spikes in n words. */
static inline NAME_sum NAME_ones(const uint32_t *x, int n)
{
    NAME_sum total = 0;
    int i;
    for (i = 0; i < n; i++)
        total += NAME_popcount(x[i]);
    return total;
}
""",
    "total": """
/* Sum of n values. */
static inline NAME_sum NAME_total(const int32_t *x, int n)
{
    NAME_sum total = 0;
    int i;
    for (i = 0; i < n; i++)
        total += x[i];
    return total;
}
""",
    "bit": """
static inline int32_t NAME_bit(const uint32_t *x, int i)
{
    return (int32_t)((x[i >> 5] >> (i & 31)) & 1u);
}
""",
    "set": """
static inline void NAME_set(uint32_t *x, int i, int spike)
{
    x[i >> 5] |= (uint32_t)spike << (i & 31);
}
""",
    "clear": """
static inline void NAME_clear(uint32_t *x, int n)
{
    int i;
    for (i = 0; i < n; i++)
        x[i] = 0;
}
""",
    "dot_bits": """
/* Sum of the level numbers of the weights whose input spikes; bit k of 32 level numbers stands in one word. */
static inline NAME_sum NAME_dot_bits(const uint32_t *row, const uint32_t *x, int n, int planes)
{
    NAME_sum total = 0;
    int i, k;
    for (i = 0; i < n; i++)
        for (k = 0; k < planes; k++)
            total += NAME_popcount(*row++ & x[i]) * ((NAME_sum)1 << k);
    return total;
}
""",
    "dot_bits_values": """
/* The same for n inputs that are values. */
static inline NAME_sum NAME_dot_bits_values(const uint32_t *row, const int32_t *x, int n, int planes)
{
    NAME_sum total = 0;
    int i, k;
    for (i = 0; i < n; i++)
        for (k = 0; k < planes; k++)
            if ((row[(i >> 5) * planes + k] >> (i & 31)) & 1u)
                total += (NAME_sum)x[i] * ((NAME_sum)1 << k);
    return total;
}
""",
    "dot_digits": """
/* Sum of the weights whose input spikes; a byte holds several, as digits to the base of the number of levels. */
static inline NAME_sum NAME_dot_digits(const uint8_t *row, const int32_t *levels, const uint32_t *x, int n,
                                       unsigned base, int per_byte)
{
    NAME_sum total = 0;
    int i = 0, k;
    while (i < n) {
        unsigned packed = *row++;
        for (k = 0; k < per_byte && i < n; k++, i++) {
            if (NAME_bit(x, i))
                total += levels[packed % base];
            packed /= base;
        }
    }
    return total;
}
""",
    "dot_digits_values": """
/* The same for n inputs that are values. */
static inline NAME_sum NAME_dot_digits_values(const uint8_t *row, const int32_t *levels, const int32_t *x, int n,
                                              unsigned base, int per_byte)
{
    NAME_sum total = 0;
    int i = 0, k;
    while (i < n) {
        unsigned packed = *row++;
        for (k = 0; k < per_byte && i < n; k++, i++) {
            total += (NAME_sum)levels[packed % base] * x[i];
            packed /= base;
        }
    }
    return total;
}
""",
    "decayed": """
/* What is left of x, of 24 bits, where of 4096 parts keeps stay: towards 0, without a product beyond 32 bits. */
static inline int32_t NAME_decayed(int32_t x, int32_t keeps)
{
    const int32_t a = x < 0 ? -x : x;
    const int32_t left = (a >> 12) * keeps + (((a & 4095) * keeps) >> 12);
    return x < 0 ? -left : left;
}
""",
    "current": """
/* u + 64 z in Loihi's register of a current, which wraps round beyond 2^23. */
static inline int32_t NAME_current(int32_t u, NAME_sum z)
{
    return 8388608 - (int32_t)((8388608u - (uint32_t)u - 64u * (uint32_t)z) & 0xffffffu);
}
""",
    "voltage": """
/* v + more in Loihi's register of a voltage, which stops at its ends. */
static inline int32_t NAME_voltage(int32_t v, int32_t more)
{
    v += more;
    return v > 8388607 ? 8388607 : v < -8388607 ? -8388607 : v;
}
""",
    "patch_bits": """
/* The spikes under a kernel whose corner is at (top, left), channel after channel, row after row; its weights stand
   down rows and right columns apart. */
static inline void NAME_patch_bits(const uint32_t *x, int channels, int height, int width, int rows, int columns,
                                   int down, int right, int top, int left, int first, uint32_t *patch, int n)
{
    int c, a, b, i = 0;
    NAME_clear(patch, n);
    for (c = first; c < first + channels; c++)
        for (a = top; a < top + rows * down; a += down)
            for (b = left; b < left + columns * right; b += right, i++)
                if (a >= 0 && a < height && b >= 0 && b < width)
                    NAME_set(patch, i, (int)NAME_bit(x, (c * height + a) * width + b));
}
""",
    "patch_values": """
/* The values under a kernel whose corner is at (top, left), channel after channel, row after row; its weights stand
   down rows and right columns apart. */
static inline void NAME_patch_values(const int32_t *x, int channels, int height, int width, int rows, int columns,
                                     int down, int right, int top, int left, int first, int32_t *patch)
{
    int c, a, b;
    for (c = first; c < first + channels; c++)
        for (a = top; a < top + rows * down; a += down)
            for (b = left; b < left + columns * right; b += right)
                *patch++ = a >= 0 && a < height && b >= 0 && b < width ? x[(c * height + a) * width + b] : 0;
}
""",
}
_NEEDS = {
    "ones": ("popcount",),
    "dot_bits": ("popcount",),
    "dot_digits": ("bit",),
    "patch_bits": ("clear", "set", "bit"),
}


def functions(used: set[str], name: str) -> str:
    """Return the C text of the functions ``used``, and of those that they call, under the prefix ``name``."""
    wanted = used | {needed for function in used for needed in _NEEDS.get(function, ())}
    return "".join(text for key, text in FUNCTIONS.items() if key in wanted).replace("NAME", name)
