/* AVX-512 with VNNI, VBMI and VBMI2 (Ice Lake, Zen 4 and later).
 *
 * vpermb reads only the low 6 bits of an index, vpermi2b the low 7: a table of 2^bits entries is repeated to fill the
 * register, so the bits above the code need no mask. vpmultishiftqb puts any field of a byte where it is wanted.
 * vpdpbusd multiplies unsigned by signed bytes: the GEMV adds 128 to the weights and subtracts 128 * sum(x); the
 * convolution adds 128 to the activations and subtracts what that adds. Both are exact modulo 2^32. */
#include "kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include "x86.h"

#if defined(__clang__) && __clang_major__ >= 18 /* which split the register width from the instructions */
PV_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi,avx512vbmi2,fma,avx2,bmi2,popcnt,evex512")
#else
PV_TARGET_BEGIN("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi,avx512vbmi2,fma,avx2,bmi2,popcnt")
#endif

/* Lanes of a register that `left` values reach. */
PV_INLINE __mmask16 live16(size_t left) { return left >= 16 ? 0xffff : (__mmask16)((1u << left) - 1); }

#include "avx512_decode.inc"
#include "avx512_turn.inc"
#include "avx512_gemv.inc"
#include "avx512_gemm.inc"
#include "avx512_ternary.inc"
#include "avx512_tile.inc"
#include "float_loops.inc"
#include "int8_loops.inc"
#include "avx512_int8.inc"

static float avx512_max_abs(const float* x, size_t n) {
  __m512 largest[4];
  PV_UNROLL
  for (int j = 0; j < 4; j++) largest[j] = _mm512_setzero_ps();
  size_t i = 0;
  for (; i + 64 <= n; i += 64) /* max(a, b) is b when a is not a number */
    PV_UNROLL
    for (int j = 0; j < 4; j++) largest[j] = _mm512_max_ps(_mm512_abs_ps(_mm512_loadu_ps(x + i + 16 * j)), largest[j]);
  const float head =
      _mm512_reduce_max_ps(_mm512_max_ps(_mm512_max_ps(largest[0], largest[1]), _mm512_max_ps(largest[2], largest[3])));
  const float tail = pv_scalar_max_abs(x + i, n - i);
  return head > tail ? head : tail;
}

PV_INLINE __m512i quantize16(__m512 x, float inverse, float lowest, float highest) {
  const __m512 scaled = _mm512_mul_ps(x, _mm512_set1_ps(inverse));
  /* the ends are whole numbers: what lies between rounds to what lies between */
  return _mm512_cvtps_epi32(_mm512_min_ps(_mm512_max_ps(scaled, _mm512_set1_ps(lowest)), _mm512_set1_ps(highest)));
}

static void avx512_quantize(const float* x, size_t n, float inverse, int8_t* q) {
  size_t i = 0;
  for (; i + 16 <= n; i += 16)
    _mm_storeu_si128((__m128i*)(q + i),
                     _mm512_cvtepi32_epi8(quantize16(_mm512_loadu_ps(x + i), inverse, -127, 127)));
  pv_scalar_quantize(x + i, n - i, inverse, q + i);
}

static void avx512_quantize4(const float* const x[4], size_t n, const pv_grid* g, uint8_t* dst) {
  const __m512i zero = _mm512_set1_epi8((char)(g->zero + 128));
  const __m512i byte = _mm512_set1_epi32(255);
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    __m512i quad = _mm512_setzero_si512();
    PV_UNROLL
    for (int c = 0; c < 4; c++) {
      if (!x[c]) continue;
      const __m512i q = quantize16(_mm512_loadu_ps(x[c] + i), g->inverse, g->lowest, g->highest);
      quad = _mm512_or_si512(quad, _mm512_slli_epi32(_mm512_and_si512(q, byte), 8 * (unsigned)c));
    }
    _mm512_storeu_si512(dst + 4 * i, _mm512_add_epi8(quad, zero));
  }
  const float* tail[4];
  PV_UNROLL
  for (int c = 0; c < 4; c++) tail[c] = x[c] ? x[c] + i : NULL;
  pv_scalar_quantize4(tail, n - i, g, 128, dst + 4 * i);
}

static size_t avx512_compress_i8(const int8_t* x, const uint8_t* bitmap, size_t n, int8_t* out) {
  size_t count = 0;
  for (size_t i = 0; i < n; i += 64) {
    const size_t more = (size_t)_mm_popcnt_u64(pv_load64(bitmap + i / 8));
    const __m512i kept = _mm512_maskz_compress_epi8(load_mask64(bitmap + i / 8), _mm512_loadu_si512(x + i));
    _mm_storeu_si128((__m128i*)(out + count), _mm512_castsi512_si128(kept)); /* crosses fewer cache lines */
    if (more > 16) _mm512_storeu_si512(out + count, kept);
    count += more;
  }
  return count;
}

static size_t avx512_compress_f32(const float* x, const uint8_t* bitmap, size_t n, float* out) {
  size_t count = 0;
  for (size_t i = 0; i < n; i += 16) {
    uint16_t mask;
    memcpy(&mask, bitmap + i / 8, sizeof mask);
    _mm512_storeu_ps(out + count, _mm512_maskz_compress_ps(mask, _mm512_loadu_ps(x + i)));
    count += (size_t)_mm_popcnt_u32(mask);
  }
  return count;
}

/* max(y, 0) keeps a NaN in the second operand, as the scalar kernel does. */
PV_INLINE void finish16(__m512 value, const pv_finish* f, __mmask16 live, float* y) {
  value = _mm512_add_ps(_mm512_mul_ps(value, _mm512_set1_ps(f->scale)), _mm512_set1_ps(f->bias));
  if (f->activation != PV_NONE) value = _mm512_max_ps(_mm512_setzero_ps(), value);
  if (f->activation == PV_RELU6) value = _mm512_min_ps(_mm512_set1_ps(6), value);
  _mm512_mask_storeu_ps(y, live, value);
}

static void avx512_finish_i32(const int32_t* acc, size_t n, const pv_finish* f, float* y) {
  for (size_t i = 0; i < n; i += 16) {
    const __m512i sum = _mm512_maskz_loadu_epi32(live16(n - i), acc + i);
    finish16(_mm512_cvtepi32_ps(_mm512_sub_epi32(sum, _mm512_set1_epi32(f->zero))), f, live16(n - i), y + i);
  }
}

static void avx512_finish_f32(const float* acc, size_t n, const pv_finish* f, float* y) {
  for (size_t i = 0; i < n; i += 16)
    finish16(_mm512_maskz_loadu_ps(live16(n - i), acc + i), f, live16(n - i), y + i);
}

PV_TARGET_END

static int avx512_supported(void) { return pv_x86_has_avx512vnni(); }

const pv_kernels pv_kernels_avx512vnni = {
    .name = "avx512vnni",
    .supported = avx512_supported,
    .lanes = 16,
    .max_vectors = 3,
    .offset = 128,
    .max_abs = avx512_max_abs,
    .quantize = avx512_quantize,
    .quantize4 = avx512_quantize4,
    .decode = avx512_decode,
    .turn = avx512_turn,
    .panel_sums = avx512_panel_sums,
    .gemv_i8 = avx512_gemv_i8,
    .gemv_f32 = avx512_gemv_f32,
    .tile_i8 = avx512_tile_i8,
    .compress_i8 = avx512_compress_i8,
    .compress_f32 = avx512_compress_f32,
    .ternary_i8 = avx512_ternary_i8,
    .gemm_i8 = avx512_gemm_i8,
    .gemm_f32 = avx512_gemm_f32,
    .finish_i32 = avx512_finish_i32,
    .finish_f32 = avx512_finish_f32,
    .token_tile = avx512_token_tile,
    .exponentials = loop_exponentials,
    .normalize = loop_normalize,
    .i8_tile = avx512_i8_tile,
    .i8_turn = avx512_i8_turn,
    .i8_depthwise = avx512_i8_depthwise,
    .i8_add = avx512_i8_add,
    .i8_join = avx512_i8_join,
    .i8_max = loop_i8_max,
    .i8_to_float = loop_i8_to_float,
};
#endif
