// silu(group_norm(x + shift)), forward and backward, for channels-last images on the CPU.
//
// PyTorch's own GroupNorm is slow on channels-last tensors, and its convolutions are slow on any
// other, so on the CPU one of the two loses. Here one pass over x finds the moments, a second one
// normalises, scales and applies SiLU: each inner loop runs along the channels, which lie side by
// side in memory, and is turned into vector instructions by the compiler.
//
// x, y, dy, dx: (images, pixels, channels) of T, either float or bfloat16 (as its 16 bits).
// shift: (images, channels) float, or null. weight, bias: (channels) float.
// moments: (images, groups, 2) double: mean and 1/sqrt(variance + eps), kept for the way back.
// dweight, dbias, dshift: (images, channels) float; the caller sums the first two over the images.
// Each function returns 0, or 1 if there was too little memory; then the results mean nothing.
//
// Rounding. Sums over pixels run in float over blocks of BLOCK pixels and in double over the
// blocks, so a sum of terms t is off by at most about BLOCK * 2^-24 * sum |t|, however large the
// image. The mean is kept in double and taken from x before anything is multiplied, so that a
// large mean costs no digits: next to it the difference is exact.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#define VERSION 2  // of the functions below; fused_norm.py asks for it, and refuses any other

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
// One binary that runs anywhere and picks the widest vectors the processor has.
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define CLONES
#endif
#define SIMD "omp simd"
#define INLINE static inline __attribute__((always_inline))

struct bfloat16 { uint16_t bits; };

INLINE float load(float v) { return v; }
INLINE float load(bfloat16 v) {
    uint32_t bits = uint32_t(v.bits) << 16;
    float out;
    memcpy(&out, &bits, 4);
    return out;
}
INLINE void store(float& to, float v) { to = v; }
INLINE void store(bfloat16& to, float v) {  // rounds to nearest, ties to even
    uint32_t bits;
    memcpy(&bits, &v, 4);
    to.bits = uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// exp(x) to about 1e-7 relative: 2^n times a polynomial on [-1/2, 1/2]; clamped to normal numbers.
INLINE float fast_exp(float x) {
    x = x < -87.f ? -87.f : x > 87.f ? 87.f : x;
    float n = __builtin_rintf(x * 1.44269504f);
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.f;
    int32_t bits = (int32_t(n) + 127) << 23;
    float scale;
    memcpy(&scale, &bits, 4);
    return p * scale;
}
INLINE float sigmoid(float z) { return 1.f / (1.f + fast_exp(-z)); }

struct Shape { int64_t images, pixels, channels, groups; double eps; bool silu; };

const int64_t BLOCK = 64;

// Zeros for one image at work. No exception may leave an OpenMP region, so a lack of memory is told.
struct Scratch {
    void* data;
    explicit Scratch(int64_t bytes) : data(calloc(size_t(bytes), 1)) {}
    ~Scratch() { free(data); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;
};

// Adds a block's sums to the totals and clears them for the next block.
INLINE void carry(float* __restrict block, double* __restrict total, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
        total[i] += block[i];
        block[i] = 0.f;
    }
}

// Mean and 1/sqrt(variance + eps) of one group, from each channel's sums of d = x - pivot and d^2.
// The pivot is the channel's first pixel: sums of x itself would cancel where the mean is large.
INLINE void group_moments(const double* sum, const double* square, const float* pivot,
                          const float* add, double* moments, const Shape& s) {
    const int64_t width = s.channels / s.groups;
    const double pixels = double(s.pixels);
    double mean = 0, variance = 0;
    for (int64_t c = 0; c < width; ++c) mean += double(pivot[c]) + add[c] + sum[c] / pixels;
    mean /= double(width);
    for (int64_t c = 0; c < width; ++c) {
        double d = sum[c] / pixels, centre = double(pivot[c]) + add[c] + d - mean;
        variance += square[c] / pixels - d * d + centre * centre;
    }
    variance /= double(width);
    moments[0] = mean;
    moments[1] = 1 / __builtin_sqrt((variance < 0 ? 0 : variance) + s.eps);  // NaN stays NaN
}

// (x + shift - mean) * rstd is computed as (x - near) * rstd + rest: `near` is mean - shift as a
// float, and `rest` is what that leaves out.
INLINE void centre(const double* moments, const float* shift, float* __restrict near,
                   float* __restrict rstd, float* __restrict rest, const Shape& s) {
    const int64_t width = s.channels / s.groups;
    for (int64_t c = 0; c < s.channels; ++c) {
        const double* m = moments + 2 * (c / width);
        double exact = m[0] - (shift ? shift[c] : 0.f);
        near[c] = float(exact);
        rstd[c] = float(m[1]);
        rest[c] = float((double(near[c]) - exact) * m[1]);
    }
}

template <class T, bool SILU>
INLINE int forward_image(const T* __restrict x, const float* __restrict shift,
                         const float* __restrict weight, const float* __restrict bias,
                         T* __restrict y, double* __restrict moments, const Shape& s) {
    const int64_t C = s.channels, width = C / s.groups;
    Scratch scratch(C * int64_t(2 * sizeof(double) + 6 * sizeof(float)));
    if (!scratch.data) return 1;
    double *__restrict sum = static_cast<double*>(scratch.data), *__restrict square = sum + C;
    float *__restrict block = reinterpret_cast<float*>(square + C), *__restrict blocks = block + C;
    float *__restrict pivot = blocks + C, *__restrict near = pivot + C;
    float *__restrict scale = near + C, *__restrict offset = scale + C;
    for (int64_t c = 0; c < C; ++c) pivot[c] = load(x[c]);
    for (int64_t first = 0; first < s.pixels; first += BLOCK) {
        for (int64_t p = first; p < std::min(first + BLOCK, s.pixels); ++p)
            _Pragma(SIMD)
            for (int64_t c = 0; c < C; ++c) {
                float d = load(x[p * C + c]) - pivot[c];
                block[c] += d;
                blocks[c] += d * d;
            }
        carry(block, sum, C);
        carry(blocks, square, C);
    }
    const float* add = shift ? shift : block;  // block is zero again
    for (int64_t g = 0; g < s.groups; ++g)
        group_moments(sum + g * width, square + g * width, pivot + g * width, add + g * width,
                      moments + 2 * g, s);
    centre(moments, shift, near, scale, offset, s);
    for (int64_t c = 0; c < C; ++c) {
        scale[c] *= weight[c];
        offset[c] = bias[c] + offset[c] * weight[c];
    }
    for (int64_t p = 0; p < s.pixels; ++p)
        _Pragma(SIMD)
        for (int64_t c = 0; c < C; ++c) {
            float z = (load(x[p * C + c]) - near[c]) * scale[c] + offset[c];
            store(y[p * C + c], SILU ? z * sigmoid(z) : z);
        }
    return 0;
}

template <class T, bool SILU>
INLINE int backward_image(const T* __restrict x, const float* __restrict shift,
                          const float* __restrict weight, const float* __restrict bias,
                          const T* __restrict dy, const double* __restrict moments,
                          T* __restrict dx, float* __restrict dweight, float* __restrict dbias,
                          float* __restrict dshift, const Shape& s) {
    const int64_t C = s.channels, width = C / s.groups;
    const double size = double(width * s.pixels);
    Scratch scratch(C * int64_t(3 * sizeof(double) + (8 + s.pixels) * sizeof(float)));
    if (!scratch.data) return 1;
    // Sums over the pixels of dz, of dz * normal and of normal.
    double *__restrict sum_dz = static_cast<double*>(scratch.data);
    double *__restrict sum_dzn = sum_dz + C, *__restrict sum_n = sum_dzn + C;
    float *__restrict block_dz = reinterpret_cast<float*>(sum_n + C);
    float *__restrict block_dzn = block_dz + C, *__restrict block_n = block_dzn + C;
    float *__restrict near = block_n + C, *__restrict rstd = near + C, *__restrict rest = rstd + C;
    float *__restrict mean_a = rest + C, *__restrict mean_b = mean_a + C;
    float *__restrict dz = mean_b + C;
    centre(moments, shift, near, rstd, rest, s);
    for (int64_t first = 0; first < s.pixels; first += BLOCK) {
        for (int64_t p = first; p < std::min(first + BLOCK, s.pixels); ++p)
            _Pragma(SIMD)
            for (int64_t c = 0; c < C; ++c) {
                float normal = (load(x[p * C + c]) - near[c]) * rstd[c] + rest[c];
                float d = load(dy[p * C + c]);
                if (SILU) {
                    float z = normal * weight[c] + bias[c], sig = sigmoid(z);
                    d *= sig * (1.f + z * (1.f - sig));
                }
                dz[p * C + c] = d;
                block_dz[c] += d;
                block_dzn[c] += d * normal;
                block_n[c] += normal;
            }
        carry(block_dz, sum_dz, C);
        carry(block_dzn, sum_dzn, C);
        carry(block_n, sum_n, C);
    }
    // dx = rstd (dz weight - a - normal b), a and b being the means over the group of dz weight and
    // of dz weight normal; dshift is its sum over the pixels.
    for (int64_t g = 0; g < s.groups; ++g) {
        double a = 0, b = 0;
        for (int64_t c = g * width; c < (g + 1) * width; ++c) {
            a += sum_dz[c] * weight[c] / size;
            b += sum_dzn[c] * weight[c] / size;
        }
        for (int64_t c = g * width; c < (g + 1) * width; ++c) {
            mean_a[c] = float(a);
            mean_b[c] = float(b);
            dbias[c] = float(sum_dz[c]);
            dweight[c] = float(sum_dzn[c]);
            double sum = sum_dz[c] * weight[c] - double(s.pixels) * a - sum_n[c] * b;
            dshift[c] = float(moments[2 * g + 1] * sum);
        }
    }
    for (int64_t p = 0; p < s.pixels; ++p)
        _Pragma(SIMD)
        for (int64_t c = 0; c < C; ++c) {
            float normal = (load(x[p * C + c]) - near[c]) * rstd[c] + rest[c];
            store(dx[p * C + c],
                  rstd[c] * (dz[p * C + c] * weight[c] - mean_a[c] - normal * mean_b[c]));
        }
    return 0;
}

// The threads are OpenMP's; the symbols are those of the library that PyTorch has loaded.
#define EXPORT(NAME, T)                                                                            \
    CLONES static int forward_one_##NAME(const T* x, const float* shift, const float* weight,     \
                                         const float* bias, T* y, double* moments,                \
                                         const Shape& s) {                                        \
        return s.silu ? forward_image<T, true>(x, shift, weight, bias, y, moments, s)             \
                      : forward_image<T, false>(x, shift, weight, bias, y, moments, s);           \
    }                                                                                              \
    CLONES static int backward_one_##NAME(                                                         \
        const T* x, const float* shift, const float* weight, const float* bias, const T* dy,      \
        const double* moments, T* dx, float* dweight, float* dbias, float* dshift,                 \
        const Shape& s) {                                                                          \
        return s.silu ? backward_image<T, true>(x, shift, weight, bias, dy, moments, dx, dweight, \
                                                dbias, dshift, s)                                 \
                      : backward_image<T, false>(x, shift, weight, bias, dy, moments, dx,         \
                                                 dweight, dbias, dshift, s);                      \
    }                                                                                              \
    extern "C" int forward_##NAME(const T* x, const float* shift, const float* weight,            \
                                  const float* bias, T* y, double* moments, int64_t images,       \
                                  int64_t pixels, int64_t channels, int64_t groups, double eps,   \
                                  int silu) {                                                     \
        const Shape s = {images, pixels, channels, groups, eps, silu != 0};                        \
        int failed = 0;                                                                            \
        _Pragma("omp parallel for reduction(|:failed)") for (int64_t n = 0; n < images; ++n) {     \
            int64_t i = n * pixels * channels, c = n * channels;                                   \
            failed |= forward_one_##NAME(x + i, shift ? shift + c : shift, weight, bias, y + i,   \
                                         moments + 2 * n * groups, s);                            \
        }                                                                                          \
        return failed;                                                                             \
    }                                                                                              \
    extern "C" int backward_##NAME(const T* x, const float* shift, const float* weight,           \
                                   const float* bias, const T* dy, const double* moments, T* dx,  \
                                   float* dweight, float* dbias, float* dshift, int64_t images,   \
                                   int64_t pixels, int64_t channels, int64_t groups, double eps,  \
                                   int silu) {                                                    \
        const Shape s = {images, pixels, channels, groups, eps, silu != 0};                        \
        int failed = 0;                                                                            \
        _Pragma("omp parallel for reduction(|:failed)") for (int64_t n = 0; n < images; ++n) {     \
            int64_t i = n * pixels * channels, c = n * channels;                                   \
            failed |= backward_one_##NAME(x + i, shift ? shift + c : shift, weight, bias, dy + i, \
                                          moments + 2 * n * groups, dx + i, dweight + c,          \
                                          dbias + c, dshift + c, s);                              \
        }                                                                                          \
        return failed;                                                                             \
    }

EXPORT(float32, float)
EXPORT(bfloat16, bfloat16)

extern "C" int fused_norm_version() { return VERSION; }
