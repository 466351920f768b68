#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels.h"

PV_TARGET_BEGIN("avx2,fma,f16c")

PV_INLINE float sum8(__m256 v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static float avx2_dot_f32(const float* a, const float* b, int32_t n) {
  __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
  int32_t i = 0;
  for (; i + 32 <= n; i += 32) {
    s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
    s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
    s2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), s2);
    s3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), s3);
  }
  const float sum = sum8(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
  return sum + pv_search_kernels_scalar.dot_f32(a + i, b + i, n - i);
}

static float avx2_dot_f16(const float* a, const uint16_t* b, int32_t n) {
  __m256 s0 = _mm256_setzero_ps(), s1 = s0;
  int32_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m256i halves = _mm256_loadu_si256((const __m256i*)(b + i));
    const __m256 low = _mm256_cvtph_ps(_mm256_castsi256_si128(halves));
    const __m256 high = _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1));
    s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), low, s0);
    s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), high, s1);
  }
  return sum8(_mm256_add_ps(s0, s1)) + pv_search_kernels_scalar.dot_f16(a + i, b + i, n - i);
}

static float avx2_dot_f32_i8(const float* a, const int8_t* b, int32_t n) {
  __m256 s0 = _mm256_setzero_ps();
  int32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256i wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i*)(b + i)));
    s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_cvtepi32_ps(wide), s0);
  }
  return sum8(s0) + pv_search_kernels_scalar.dot_f32_i8(a + i, b + i, n - i);
}

/* |b| * (a with b's sign) is a * b; two such products stay below 2^15, so maddubs cannot saturate. */
static int32_t avx2_dot_i8(const int8_t* a, const int8_t* b, int32_t n) {
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
  return _mm_cvtsi128_si32(s) + pv_search_kernels_scalar.dot_i8(a + i, b + i, n - i);
}

PV_TARGET_END

PV_TARGET_BEGIN("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")

static float avx512_dot_f32(const float* a, const float* b, int32_t n) {
  __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
  int32_t i = 0;
  for (; i + 64 <= n; i += 64) {
    s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
    s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
    s2 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32), s2);
    s3 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48), s3);
  }
  const __m512 sum = _mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3));
  return _mm512_reduce_add_ps(sum) + avx2_dot_f32(a + i, b + i, n - i);
}

static float avx512_dot_f16(const float* a, const uint16_t* b, int32_t n) {
  __m512 s0 = _mm512_setzero_ps(), s1 = s0;
  int32_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const __m512 low = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)(b + i)));
    const __m512 high = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)(b + i + 16)));
    s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), low, s0);
    s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), high, s1);
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1)) + avx2_dot_f16(a + i, b + i, n - i);
}

/* dpbusd wants unsigned bytes first: b + 128 times a, less 128 times the sum of a. */
static int32_t avx512_dot_i8(const int8_t* a, const int8_t* b, int32_t n) {
  const __m512i flip = _mm512_set1_epi8((char)0x80);
  __m512i sums = _mm512_setzero_si512(), shift = sums;
  int32_t i = 0;
  for (; i + 64 <= n; i += 64) {
    const __m512i va = _mm512_loadu_si512(a + i);
    const __m512i vb = _mm512_xor_si512(_mm512_loadu_si512(b + i), flip);
    sums = _mm512_dpbusd_epi32(sums, vb, va);
    shift = _mm512_dpbusd_epi32(shift, flip, va);
  }
  return _mm512_reduce_add_epi32(_mm512_sub_epi32(sums, shift)) + avx2_dot_i8(a + i, b + i, n - i);
}

PV_TARGET_END

const pv_search_kernels pv_search_kernels_avx2 = {"avx2", avx2_dot_f32, avx2_dot_f16, avx2_dot_f32_i8,
                                                  avx2_dot_i8};
const pv_search_kernels pv_search_kernels_avx512vnni = {"avx512vnni", avx512_dot_f32, avx512_dot_f16,
                                                        avx2_dot_f32_i8, avx512_dot_i8};
#endif
