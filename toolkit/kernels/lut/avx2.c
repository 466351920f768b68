/* AVX2 with FMA.
 *
 * vpmaddubsw multiplies unsigned by signed bytes and adds pairs into int16: |a| and sign(b, a) keep the product a * b,
 * and with |a|, |b| <= 127 a pair is at most 2 * 127 * 127 = 32258, so it never saturates. */
#include "kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "x86.h"

PV_TARGET_BEGIN("avx2,fma,popcnt")

#include "avx2_decode.inc"
#include "avx2_gemv.inc"
#include "avx2_gemm.inc"
#include "avx2_tile.inc"
#include "float_loops.inc"
#include "int8_loops.inc"
#include "avx2_int8.inc"

static float avx2_max_abs(const float* x, size_t n) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  __m256 largest[4];
  float lane[8];
  for (int j = 0; j < 4; j++) largest[j] = _mm256_setzero_ps();
  size_t i = 0;
  for (; i + 32 <= n; i += 32) /* max(a, b) is b when a is not a number */
    for (int j = 0; j < 4; j++)
      largest[j] = _mm256_max_ps(_mm256_andnot_ps(sign, _mm256_loadu_ps(x + i + 8 * j)), largest[j]);
  _mm256_storeu_ps(lane, _mm256_max_ps(_mm256_max_ps(largest[0], largest[1]), _mm256_max_ps(largest[2], largest[3])));
  const float head = pv_scalar_max_abs(lane, 8), tail = pv_scalar_max_abs(x + i, n - i);
  return head > tail ? head : tail;
}

PV_INLINE __m256i quantize8(const float* x, __m256 inverse) {
  const __m256 q = _mm256_round_ps(_mm256_mul_ps(_mm256_loadu_ps(x), inverse), _MM_FROUND_TO_NEAREST_INT);
  return _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(q, _mm256_set1_ps(-127)), _mm256_set1_ps(127)));
}

static void avx2_quantize(const float* x, size_t n, float inverse, int8_t* q) {
  const __m256 scale = _mm256_set1_ps(inverse);
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7); /* packing works within 128-bit lanes */
  size_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const __m256i low = _mm256_packs_epi32(quantize8(x + i, scale), quantize8(x + i + 8, scale));
    const __m256i high = _mm256_packs_epi32(quantize8(x + i + 16, scale), quantize8(x + i + 24, scale));
    const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
    _mm256_storeu_si256((__m256i*)(q + i), bytes);
  }
  pv_scalar_quantize(x + i, n - i, inverse, q + i);
}

PV_INLINE __m256i on_grid8(const float* x, const pv_grid* g) {
  const __m256 q = _mm256_round_ps(_mm256_mul_ps(_mm256_loadu_ps(x), _mm256_set1_ps(g->inverse)), _MM_FROUND_TO_NEAREST_INT);
  return _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(q, _mm256_set1_ps(g->lowest)), _mm256_set1_ps(g->highest)));
}

static void avx2_quantize4(const float* const x[4], size_t n, const pv_grid* g, uint8_t* dst) {
  const __m256i zero = _mm256_set1_epi8((char)g->zero);
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    __m256i quad = _mm256_setzero_si256();
    for (int c = 0; c < 4; c++) {
      if (!x[c]) continue;
      const __m256i q = _mm256_and_si256(on_grid8(x[c] + i, g), _mm256_set1_epi32(255));
      quad = _mm256_or_si256(quad, _mm256_slli_epi32(q, 8 * c));
    }
    _mm256_storeu_si256((__m256i*)(dst + 4 * i), _mm256_add_epi8(quad, zero));
  }
  const float* tail[4];
  for (int c = 0; c < 4; c++) tail[c] = x[c] ? x[c] + i : NULL;
  pv_scalar_quantize4(tail, n - i, g, 0, dst + 4 * i);
}

PV_INLINE void finish8(__m256 value, const pv_finish* f, float* y) {
  value = _mm256_add_ps(_mm256_mul_ps(value, _mm256_set1_ps(f->scale)), _mm256_set1_ps(f->bias));
  if (f->activation != PV_NONE) value = _mm256_max_ps(_mm256_setzero_ps(), value);
  if (f->activation == PV_RELU6) value = _mm256_min_ps(_mm256_set1_ps(6), value);
  _mm256_storeu_ps(y, value);
}

static void avx2_finish_i32(const int32_t* acc, size_t n, const pv_finish* f, float* y) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256i sum = _mm256_loadu_si256((const __m256i*)(acc + i));
    finish8(_mm256_cvtepi32_ps(_mm256_sub_epi32(sum, _mm256_set1_epi32(f->zero))), f, y + i);
  }
  pv_scalar_finish_i32(acc + i, n - i, f, y + i);
}

static void avx2_finish_f32(const float* acc, size_t n, const pv_finish* f, float* y) {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) finish8(_mm256_loadu_ps(acc + i), f, y + i);
  pv_scalar_finish_f32(acc + i, n - i, f, y + i);
}

PV_TARGET_END

static int avx2_supported(void) { return pv_x86_has_avx2(); }

const pv_kernels pv_kernels_avx2 = {
    .name = "avx2",
    .supported = avx2_supported,
    .lanes = 8,
    .max_vectors = 3,
    .offset = 0,
    .max_abs = avx2_max_abs,
    .quantize = avx2_quantize,
    .quantize4 = avx2_quantize4,
    .decode = avx2_decode,
    .turn = pv_turn,
    .panel_sums = avx2_panel_sums,
    .gemv_i8 = avx2_gemv_i8,
    .gemv_f32 = avx2_gemv_f32,
    .tile_i8 = avx2_tile_i8,
    .compress_i8 = pv_scalar_compress_i8,
    .compress_f32 = pv_scalar_compress_f32,
    .gemm_i8 = avx2_gemm_i8,
    .gemm_f32 = avx2_gemm_f32,
    .finish_i32 = avx2_finish_i32,
    .finish_f32 = avx2_finish_f32,
    .token_tile = loop_token_tile,
    .exponentials = loop_exponentials,
    .normalize = loop_normalize,
    .i8_tile = avx2_i8_tile,
    .i8_turn = avx2_i8_turn,
    .i8_depthwise = avx2_i8_depthwise,
    .i8_add = loop_i8_add,
    .i8_join = loop_i8_join,
    .i8_max = loop_i8_max,
    .i8_to_float = loop_i8_to_float,
};
#endif
