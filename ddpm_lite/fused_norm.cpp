// silu(group_norm(x + shift)), forward and backward, for channels-last images on the CPU.
//
// PyTorch's own GroupNorm is slow on channels-last tensors, and its convolutions are slow on any
// other, so on the CPU one of the two loses. Here one pass over x finds the moments, a second one
// normalises, scales and applies SiLU: each inner loop runs along the channels, which lie side by
// side in memory, and is turned into vector instructions by the compiler.
//
// x, y, dy, dx: (images, pixels, channels) of T, either float or bfloat16 (as its 16 bits).
// shift: (images, channels) float, or null. weight, bias: (channels) float.
// moments: (images, groups, 2) float: mean and 1/sqrt(variance + eps), kept for the way back.
// dweight, dbias, dshift: (images, channels) float; the caller sums the first two over the images.

#include <cstdint>
#include <cstring>
#include <vector>

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

struct Shape { int64_t images, pixels, channels, groups; float eps; int silu; };

// Sums over each group's channels, divided by what they are the sum of.
INLINE void group_mean(const float* per_channel, float* per_group, const Shape& s) {
    int64_t width = s.channels / s.groups;
    for (int64_t g = 0; g < s.groups; ++g) {
        double sum = 0;
        for (int64_t c = g * width; c < (g + 1) * width; ++c) sum += per_channel[c];
        per_group[g] = float(sum / double(width * s.pixels));
    }
}

// Mean and 1/sqrt(variance + eps) of one group, from each channel's sums of d = x - pivot and d^2.
// The pivot is the channel's first pixel: sums of x itself would cancel where the mean is large.
INLINE void group_moments(const float* sum, const float* square, const float* pivot,
                          const float* add, float* moments, const Shape& s) {
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
    moments[0] = float(mean);
    moments[1] = float(1 / __builtin_sqrt((variance > 0 ? variance : 0) + s.eps));
}

template <class T, bool SILU>
INLINE void forward_image(const T* __restrict x, const float* __restrict shift,
                          const float* __restrict weight, const float* __restrict bias,
                          T* __restrict y, float* __restrict moments, const Shape& s) {
    const int64_t C = s.channels, width = C / s.groups;
    std::vector<float> memory(6 * C, 0.f);
    float *__restrict sum = &memory[0], *__restrict square = sum + C;
    float *__restrict scale = square + C, *__restrict offset = scale + C;
    float *__restrict add = offset + C, *__restrict pivot = add + C;
    if (shift) memcpy(add, shift, C * sizeof(float));
    for (int64_t c = 0; c < C; ++c) pivot[c] = load(x[c]);
    for (int64_t p = 0; p < s.pixels; ++p)
        _Pragma(SIMD)
        for (int64_t c = 0; c < C; ++c) {
            float d = load(x[p * C + c]) - pivot[c];
            sum[c] += d;
            square[c] += d * d;
        }
    for (int64_t g = 0; g < s.groups; ++g)
        group_moments(sum + g * width, square + g * width, pivot + g * width, add + g * width,
                      moments + 2 * g, s);
    for (int64_t c = 0; c < C; ++c) {
        const float* m = moments + 2 * (c / width);
        scale[c] = m[1] * weight[c];
        offset[c] = bias[c] + (add[c] - m[0]) * scale[c];
    }
    for (int64_t p = 0; p < s.pixels; ++p)
        _Pragma(SIMD)
        for (int64_t c = 0; c < C; ++c) {
            float z = load(x[p * C + c]) * scale[c] + offset[c];
            store(y[p * C + c], SILU ? z * sigmoid(z) : z);
        }
}

template <class T, bool SILU>
INLINE void backward_image(const T* __restrict x, const float* __restrict shift,
                           const float* __restrict weight, const float* __restrict bias,
                           const T* __restrict dy, const float* __restrict moments,
                           T* __restrict dx, float* __restrict dweight, float* __restrict dbias,
                           float* __restrict dshift, const Shape& s) {
    const int64_t C = s.channels, width = C / s.groups;
    std::vector<float> memory(4 * C + 2 * s.groups + s.pixels * C, 0.f);
    float *__restrict rstd = &memory[0], *__restrict centre = rstd + C;
    float *__restrict a = centre + C, *__restrict b = a + C;
    float *mean_a = b + C, *mean_b = mean_a + s.groups, *__restrict dz = mean_b + s.groups;
    for (int64_t c = 0; c < C; ++c) {
        const float* m = moments + 2 * (c / width);
        rstd[c] = m[1];
        centre[c] = ((shift ? shift[c] : 0.f) - m[0]) * m[1];
        dweight[c] = dbias[c] = dshift[c] = 0.f;
    }
    for (int64_t p = 0; p < s.pixels; ++p)
        _Pragma(SIMD)
        for (int64_t c = 0; c < C; ++c) {
            float normal = load(x[p * C + c]) * rstd[c] + centre[c], d = load(dy[p * C + c]);
            if (SILU) {
                float z = normal * weight[c] + bias[c], sig = sigmoid(z);
                d *= sig * (1.f + z * (1.f - sig));
            }
            dz[p * C + c] = d;
            dbias[c] += d;
            dweight[c] += d * normal;
        }
    for (int64_t c = 0; c < C; ++c) {
        a[c] = dbias[c] * weight[c];
        b[c] = dweight[c] * weight[c];
    }
    group_mean(a, mean_a, s);
    group_mean(b, mean_b, s);
    for (int64_t c = 0; c < C; ++c) {
        a[c] = mean_a[c / width];
        b[c] = mean_b[c / width];
    }
    for (int64_t p = 0; p < s.pixels; ++p)
        _Pragma(SIMD)
        for (int64_t c = 0; c < C; ++c) {
            float normal = load(x[p * C + c]) * rstd[c] + centre[c];
            float d = rstd[c] * (dz[p * C + c] * weight[c] - a[c] - normal * b[c]);
            dshift[c] += d;
            store(dx[p * C + c], d);
        }
}

// The threads are OpenMP's; the symbols are those of the library that PyTorch has loaded.
#define EXPORT(NAME, T)                                                                            \
    CLONES static void forward_one_##NAME(const T* x, const float* shift, const float* weight,    \
                                          const float* bias, T* y, float* moments,                \
                                          const Shape& s) {                                       \
        if (s.silu)                                                                                \
            forward_image<T, true>(x, shift, weight, bias, y, moments, s);                         \
        else                                                                                       \
            forward_image<T, false>(x, shift, weight, bias, y, moments, s);                        \
    }                                                                                              \
    CLONES static void backward_one_##NAME(                                                        \
        const T* x, const float* shift, const float* weight, const float* bias, const T* dy,      \
        const float* moments, T* dx, float* dweight, float* dbias, float* dshift,                  \
        const Shape& s) {                                                                          \
        if (s.silu)                                                                                \
            backward_image<T, true>(x, shift, weight, bias, dy, moments, dx, dweight, dbias,      \
                                    dshift, s);                                                    \
        else                                                                                       \
            backward_image<T, false>(x, shift, weight, bias, dy, moments, dx, dweight, dbias,     \
                                     dshift, s);                                                   \
    }                                                                                              \
    extern "C" void forward_##NAME(const T* x, const float* shift, const float* weight,           \
                                   const float* bias, T* y, float* moments, const Shape* s) {      \
        _Pragma("omp parallel for") for (int64_t n = 0; n < s->images; ++n) {                      \
            int64_t i = n * s->pixels * s->channels, c = n * s->channels;                          \
            forward_one_##NAME(x + i, shift ? shift + c : shift, weight, bias, y + i,              \
                               moments + 2 * n * s->groups, *s);                                   \
        }                                                                                          \
    }                                                                                              \
    extern "C" void backward_##NAME(const T* x, const float* shift, const float* weight,          \
                                    const float* bias, const T* dy, const float* moments, T* dx,  \
                                    float* dweight, float* dbias, float* dshift,                   \
                                    const Shape* s) {                                              \
        _Pragma("omp parallel for") for (int64_t n = 0; n < s->images; ++n) {                      \
            int64_t i = n * s->pixels * s->channels, c = n * s->channels;                          \
            backward_one_##NAME(x + i, shift ? shift + c : shift, weight, bias, dy + i,            \
                                moments + 2 * n * s->groups, dx + i, dweight + c, dbias + c,       \
                                dshift + c, *s);                                                   \
        }                                                                                          \
    }

EXPORT(float32, float)
EXPORT(bfloat16, bfloat16)
