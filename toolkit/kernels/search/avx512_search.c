#if defined(__x86_64__)
#include <immintrin.h>

#include "kernels.h"

PV_TARGET_BEGIN("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c,popcnt")

/* Tails are read under a mask: the lanes past n are zero. */
PV_INLINE __mmask16 lanes16(int32_t left) { return left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1); }
PV_INLINE __mmask64 bytes64(int32_t left) { return left >= 64 ? ~0ull : (1ull << left) - 1; }

PV_INLINE float dot_f32(const float* a, const float* b, int32_t n) {
  __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
  int32_t i = 0;
  for (; i + 64 <= n; i += 64) {
    s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
    s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
    s2 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32), s2);
    s3 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48), s3);
  }
  for (; i < n; i += 16) {
    const __mmask16 mask = lanes16(n - i);
    s0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, a + i), _mm512_maskz_loadu_ps(mask, b + i), s0);
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3)));
}

PV_INLINE float dot_f16(const float* a, const uint16_t* b, int32_t n) {
  __m512 s0 = _mm512_setzero_ps(), s1 = s0;
  int32_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const __m512 low = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)(b + i)));
    const __m512 high = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)(b + i + 16)));
    s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), low, s0);
    s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), high, s1);
  }
  for (; i < n; i += 16) {
    const __mmask16 mask = lanes16(n - i);
    const __m512 wide = _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, b + i));
    s0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, a + i), wide, s0);
  }
  return _mm512_reduce_add_ps(_mm512_add_ps(s0, s1));
}

/* dpbusd multiplies unsigned by signed bytes: (row + 128) * query, less 128 * the sum of the query. */
PV_INLINE int32_t dot_shifted(const int8_t* query, const int8_t* row, int32_t n) {
  const __m512i flip = _mm512_set1_epi8((char)0x80);
  __m512i s0 = _mm512_setzero_si512(), s1 = s0;
  int32_t i = 0;
  for (; i + 128 <= n; i += 128) {
    const __m512i low = _mm512_xor_si512(_mm512_loadu_si512(row + i), flip);
    const __m512i high = _mm512_xor_si512(_mm512_loadu_si512(row + i + 64), flip);
    s0 = _mm512_dpbusd_epi32(s0, low, _mm512_loadu_si512(query + i));
    s1 = _mm512_dpbusd_epi32(s1, high, _mm512_loadu_si512(query + i + 64));
  }
  for (; i < n; i += 64) {
    const __mmask64 mask = bytes64(n - i);
    const __m512i bytes = _mm512_xor_si512(_mm512_maskz_loadu_epi8(mask, row + i), flip);
    s0 = _mm512_dpbusd_epi32(s0, bytes, _mm512_maskz_loadu_epi8(mask, query + i));
  }
  return _mm512_reduce_add_epi32(_mm512_add_epi32(s0, s1));
}

static void scan_i8(const int8_t* query, const int8_t* rows, int32_t dim, int32_t count, int32_t* sums) {
  uint32_t shift = 0; /* unsigned: the shifted sum may wrap, the difference fits again */
  for (int32_t i = 0; i < dim; i++) shift += 128u * (uint32_t)query[i];
  for (int32_t r = 0; r < count; r++) {
    sums[r] = (int32_t)((uint32_t)dot_shifted(query, rows + (int64_t)r * dim, dim) - shift);
  }
}

#include "x86_distance.inc"

PV_SCAN(scan_f32, dot_f32, float, float, float)
PV_SCAN(scan_f16, dot_f16, float, uint16_t, float)
PV_SCAN(scan_bits, distance, uint64_t, uint64_t, int32_t)

static void widen_f16(const uint16_t* halves, int64_t n, float* out) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    _mm512_storeu_ps(out + i, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i*)(halves + i))));
  }
  const __mmask16 mask = lanes16((int32_t)(n - i));
  _mm512_mask_storeu_ps(out + i, mask, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, halves + i)));
}

#define PV_TILE(name) name
#define PV_VEC __m512
#define PV_VECS 1
#define PV_TILE_COUNT 16
#define PV_ZERO() _mm512_setzero_ps()
#define PV_LOAD(p) _mm512_loadu_ps(p)
#define PV_STORE(p, v) _mm512_storeu_ps(p, v)
#define PV_MULTIPLY_ADD(sum, panel, value) _mm512_fmadd_ps(panel, _mm512_set1_ps(value), sum)
#include "tile.inc"

/* Four bytes of a row, zeros past its end. */
PV_INLINE int32_t four(const int8_t* row, int32_t left) {
  int32_t bytes = 0;
  memcpy(&bytes, row, left < 4 ? (size_t)left : 4);
  return bytes;
}

PV_INLINE void group_i8(const uint8_t* panel, const int8_t* rows, int32_t dim, int32_t count, const int32_t* row_sums,
                        int32_t* sums) {
  __m512i totals[16];
  for (int32_t r = 0; r < count; r++) totals[r] = _mm512_set1_epi32((int32_t)(0u - 128u * (uint32_t)row_sums[r]));
  int32_t i = 0;
  for (; i + 4 <= dim; i += 4) {
    const __m512i lanes = _mm512_loadu_si512(panel + (int64_t)i * PV_LANES);
    for (int32_t r = 0; r < count; r++) {
      const __m512i bytes = _mm512_set1_epi32(four(rows + (int64_t)r * dim + i, 4));
      totals[r] = _mm512_dpbusd_epi32(totals[r], lanes, bytes);
    }
  }
  if (i < dim) {
    const __m512i lanes = _mm512_loadu_si512(panel + (int64_t)i * PV_LANES);
    for (int32_t r = 0; r < count; r++) {
      const __m512i bytes = _mm512_set1_epi32(four(rows + (int64_t)r * dim + i, dim - i));
      totals[r] = _mm512_dpbusd_epi32(totals[r], lanes, bytes);
    }
  }
  for (int32_t r = 0; r < count; r++) _mm512_storeu_si512(sums + r * PV_LANES, totals[r]);
}

static void tile_i8(const uint8_t* panel, const int8_t* rows, int32_t dim, int32_t count, const int32_t* row_sums,
                    int32_t* sums) {
  int32_t r = 0;
  for (; r + 16 <= count; r += 16) {
    group_i8(panel, rows + (int64_t)r * dim, dim, 16, row_sums + r, sums + r * PV_LANES);
  }
  for (; r < count; r++) group_i8(panel, rows + (int64_t)r * dim, dim, 1, row_sums + r, sums + r * PV_LANES);
}

PV_TARGET_END

const pv_search_kernels pv_search_kernels_avx512vnni = {
    "avx512vnni", scan_f32, scan_f16, scan_i8, scan_bits, widen_f16, tile_f32, tile_i8,
};
#endif
