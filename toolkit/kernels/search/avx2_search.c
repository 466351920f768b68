#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels.h"

PV_TARGET_BEGIN("avx2,fma,f16c,popcnt")

PV_INLINE float sum8(__m256 v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

PV_INLINE float dot_f32(const float* a, const float* b, int32_t n) {
  __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
  int32_t i = 0;
  for (; i + 32 <= n; i += 32) {
    s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
    s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
    s2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), s2);
    s3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), s3);
  }
  float sum = sum8(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
  for (; i < n; i++) sum += a[i] * b[i];
  return sum;
}

PV_INLINE float dot_f16(const float* a, const uint16_t* b, int32_t n) {
  __m256 s0 = _mm256_setzero_ps(), s1 = s0;
  int32_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m256i halves = _mm256_loadu_si256((const __m256i*)(b + i));
    const __m256 low = _mm256_cvtph_ps(_mm256_castsi256_si128(halves));
    const __m256 high = _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1));
    s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), low, s0);
    s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), high, s1);
  }
  float sum = sum8(_mm256_add_ps(s0, s1));
  for (; i < n; i++) sum += a[i] * _cvtsh_ss(b[i]);
  return sum;
}

/* |b| * (a with b's sign) is a * b; two products of at most 128 * 127 stay below 2^15, so maddubs cannot saturate. */
PV_INLINE int32_t dot_i8(const int8_t* a, const int8_t* b, int32_t n) {
  const __m256i ones = _mm256_set1_epi16(1);
  __m256i sums = _mm256_setzero_si256();
  int32_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const __m256i va = _mm256_loadu_si256((const __m256i*)(a + i));
    const __m256i vb = _mm256_loadu_si256((const __m256i*)(b + i));
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(vb), _mm256_sign_epi8(va, vb));
    sums = _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, ones));
  }
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
  int32_t sum = _mm_cvtsi128_si32(s);
  for (; i < n; i++) sum += a[i] * b[i];
  return sum;
}

#include "x86_distance.inc"

PV_SCAN(scan_f32, dot_f32, float, float, float)
PV_SCAN(scan_f16, dot_f16, float, uint16_t, float)
PV_SCAN(scan_i8, dot_i8, int8_t, int8_t, int32_t)
PV_SCAN(scan_bits, distance, uint64_t, uint64_t, int32_t)

static void widen_f16(const uint16_t* halves, int64_t n, float* out) {
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(halves + i))));
  for (; i < n; i++) out[i] = _cvtsh_ss(halves[i]);
}

#define PV_TILE(name) name
#define PV_VEC __m256
#define PV_VECS 2
#define PV_TILE_COUNT 6
#define PV_ZERO() _mm256_setzero_ps()
#define PV_LOAD(p) _mm256_loadu_ps(p)
#define PV_STORE(p, v) _mm256_storeu_ps(p, v)
#define PV_MULTIPLY_ADD(sum, panel, value) _mm256_fmadd_ps(panel, _mm256_set1_ps(value), sum)
#include "tile.inc"

PV_TARGET_END

const pv_search_kernels pv_search_kernels_avx2 = {
    "avx2", scan_f32, scan_f16, scan_i8, scan_bits, widen_f16, tile_f32, NULL,
};
#endif
