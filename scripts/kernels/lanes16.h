// Sixteen lanes as two times eight, so that a peer written for AVX-512 compiles and runs on a processor without it: put before
// the peer's source with `-include`.
#include <immintrin.h>
#ifndef __AVX512F__
typedef struct {
    __m256 low, high;
} lanes16;
#define __m512 lanes16
#define INLINE static inline __attribute__((always_inline))
#define BOTH(expression_low, expression_high) ((lanes16){expression_low, expression_high})

INLINE lanes16 lanes16_set(float x) { return BOTH(_mm256_set1_ps(x), _mm256_set1_ps(x)); }
INLINE lanes16 lanes16_zero(void) { return BOTH(_mm256_setzero_ps(), _mm256_setzero_ps()); }
INLINE lanes16 lanes16_load(const float *p) { return BOTH(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)); }
INLINE void lanes16_store(float *p, lanes16 x) {
    _mm256_storeu_ps(p, x.low);
    _mm256_storeu_ps(p + 8, x.high);
}
INLINE lanes16 lanes16_add(lanes16 x, lanes16 y) { return BOTH(_mm256_add_ps(x.low, y.low), _mm256_add_ps(x.high, y.high)); }
INLINE lanes16 lanes16_sub(lanes16 x, lanes16 y) { return BOTH(_mm256_sub_ps(x.low, y.low), _mm256_sub_ps(x.high, y.high)); }
INLINE lanes16 lanes16_mul(lanes16 x, lanes16 y) { return BOTH(_mm256_mul_ps(x.low, y.low), _mm256_mul_ps(x.high, y.high)); }
INLINE lanes16 lanes16_fma(lanes16 x, lanes16 y, lanes16 z) {
    return BOTH(_mm256_fmadd_ps(x.low, y.low, z.low), _mm256_fmadd_ps(x.high, y.high, z.high));
}
INLINE lanes16 lanes16_round(lanes16 x) { return BOTH(_mm256_round_ps(x.low, 8), _mm256_round_ps(x.high, 8)); }
INLINE __m256 lanes8_scale(__m256 x, __m256 power) {
    power = _mm256_max_ps(power, _mm256_set1_ps(-126.f));
    __m256i places = _mm256_slli_epi32(_mm256_cvtps_epi32(power), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), places));
}
INLINE lanes16 lanes16_scale(lanes16 x, lanes16 power) { return BOTH(lanes8_scale(x.low, power.low), lanes8_scale(x.high, power.high)); }

#define _mm512_set1_ps lanes16_set
#define _mm512_setzero_ps lanes16_zero
#define _mm512_loadu_ps lanes16_load
#define _mm512_storeu_ps lanes16_store
#define _mm512_add_ps lanes16_add
#define _mm512_sub_ps lanes16_sub
#define _mm512_mul_ps lanes16_mul
#define _mm512_fmadd_ps lanes16_fma
#define _mm512_roundscale_ps(x, how) lanes16_round(x)
#define _mm512_scalef_ps lanes16_scale
#endif
