/* Compute-bound guest code for bench/engine.py: freestanding 32-bit C, one function a kernel. */
typedef unsigned int u32;
typedef unsigned char u8;

static u32 fib(u32 n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

__attribute__((noipa)) u32 run_fib(void) { return fib(27); }

static u8 flags[1 << 20];
__attribute__((noipa)) u32 run_sieve(void)
{
    u32 count = 0;

    for (u32 k = 0; k < sizeof flags; k++) flags[k] = 1;
    for (u32 k = 2; k < sizeof flags; k++) {
        if (!flags[k]) continue;
        count++;
        for (u32 n = 2 * k; n < sizeof flags; n += k) flags[n] = 0;
    }
    return count;
}

static u32 rotr(u32 v, u32 n) { return v >> n | v << (32 - n); }
/* the message schedule and rounds of SHA-256 over made-up constants */
__attribute__((noipa)) u32 run_sha(void)
{
    u32 w[64], s[8] = {1, 2, 3, 4, 5, 6, 7, 8};

    for (u32 block = 0; block < 2000; block++) {
        for (u32 t = 0; t < 16; t++) w[t] = block * t + s[t & 7];
        for (u32 t = 16; t < 64; t++) {
            u32 a = rotr(w[t - 15], 7) ^ rotr(w[t - 15], 18) ^ w[t - 15] >> 3;
            u32 b = rotr(w[t - 2], 17) ^ rotr(w[t - 2], 19) ^ w[t - 2] >> 10;
            w[t] = w[t - 16] + a + w[t - 7] + b;
        }
        for (u32 t = 0; t < 64; t++) {
            u32 e = s[4], a = s[0];
            u32 t1 = s[7] + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & s[5]) ^ (~e & s[6])) + w[t] + t * 0x9e3779b9u;
            u32 t2 = (rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
            for (u32 k = 7; k > 0; k--) s[k] = s[k - 1];
            s[4] += t1;
            s[0] = t1 + t2;
        }
    }
    return s[0];
}

static u32 numbers[1 << 16];
__attribute__((noipa)) u32 run_sort(void)
{
    const u32 n = sizeof numbers / sizeof *numbers;
    u32 seed = 1;

    for (u32 k = 0; k < n; k++) numbers[k] = seed = seed * 1664525 + 1013904223;
    for (u32 gap = n / 2; gap; gap /= 2)
        for (u32 k = gap; k < n; k++) {
            u32 v = numbers[k], j = k;
            for (; j >= gap && numbers[j - gap] > v; j -= gap) numbers[j] = numbers[j - gap];
            numbers[j] = v;
        }
    return numbers[0];
}

enum { SIDE = 64 };
static double a[SIDE][SIDE], b[SIDE][SIDE], c[SIDE][SIDE];
/* doubles by x87, as all i686 code has them */
__attribute__((noipa)) u32 run_matmul(void)
{
    double sum = 0;

    __asm__ volatile("fninit");
    for (u32 i = 0; i < SIDE; i++)
        for (u32 j = 0; j < SIDE; j++) a[i][j] = (int)(i + j), b[i][j] = (int)(i - j);
    for (u32 round = 0; round < 20; round++)
        for (u32 i = 0; i < SIDE; i++)
            for (u32 j = 0; j < SIDE; j++) {
                double s = 0;
                for (u32 k = 0; k < SIDE; k++) s += a[i][k] * b[k][j];
                c[i][j] = s;
            }
    for (u32 i = 0; i < SIDE; i++) sum += c[i][SIDE - 1 - i];
    return (u32)(int)sum;
}

/* greatest common divisors: DIV in a loop, and 64-bit shifts */
__attribute__((noipa)) u32 run_divide(void)
{
    u32 sum = 0;
    unsigned long long bits = 1;

    for (u32 n = 1; n < 200000; n++) {
        u32 x = n * 2654435761u | 1, y = n;
        while (y) {
            u32 rest = x % y;
            x = y, y = rest;
        }
        bits = bits << (n & 31) | bits >> (64 - (n & 31) - 1);
        sum += x + (u32)(bits >> 7);
    }
    return sum;
}

static u32 from[1 << 12], to[1 << 12];
/* single string instructions, as compilers make them of small structures */
__attribute__((noipa)) u32 run_copy(void)
{
    u32 sum = 0;

    for (u32 k = 0; k < sizeof from / sizeof *from; k++) from[k] = k;
    for (u32 round = 0; round < 200; round++) {
        const u32 *s = from;
        u32 *d = to;
        for (u32 k = 0; k < sizeof from / sizeof *from; k += 4)
            __asm__ volatile("movsl\n\tmovsl\n\tmovsl\n\tmovsl" : "+S"(s), "+D"(d)::"memory");
        const u8 *t = (const u8 *)to;
        for (u32 k = 0; k < sizeof to; k++) {
            u8 byte;
            __asm__ volatile("lodsb" : "+S"(t), "=a"(byte)::"memory");
            sum += byte;
        }
    }
    return sum;
}

typedef float four __attribute__((vector_size(16)));
static four left[1 << 8], right[1 << 8];
/* singles by SSE: dot products */
__attribute__((noipa, target("sse"))) u32 run_vectors(void)
{
    four sum = {0, 0, 0, 0};

    for (u32 k = 0; k < sizeof left / sizeof *left; k++) left[k] = (four){1, 2, 3, 4}, right[k] = (four){4, 3, 2, 1};
    for (u32 round = 0; round < 4000; round++)
        for (u32 k = 0; k < sizeof left / sizeof *left; k++) sum += left[k] * right[k];
    return (u32)(int)(sum[0] / 1024) + (u32)(int)(sum[3] / 1024);
}
