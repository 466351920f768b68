/* NEON with the int8 matrix product (armv8.6: Cortex-A510, A710, X2 and later, most phones since 2022).
 *
 * smmla multiplies 2 rows by 2 columns of 8 values each: 32 products, twice those of sdot. Two steps of 4 channels lie in
 * different places; zipped by words they are the 8. */
#include "kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif

#if defined(__clang__)
PV_TARGET_BEGIN("dotprod,i8mm")
#else
PV_TARGET_BEGIN("arch=armv8.2-a+dotprod+i8mm")
#endif

PV_INLINE int32x4_t pv_dot16(int32x4_t acc, int8x16_t a, int8x16_t b) { return vdotq_s32(acc, a, b); }

PV_INLINE int32x4_t pv_dot_quads(int32x4_t acc, int8x16_t a, int8x16_t b) { return vdotq_s32(acc, a, b); }

#define NEON_VECTORS 2 /* beside 8 x 12 sums no room is left for what two steps of pixels and weights are zipped to */
#include "neon.inc"

/* Rows 2 i and 2 i + 1, or pixels, of two steps: 4 values of the first, then 4 of the second, of each. */
PV_INLINE void pairs_of(int8x16_t first, int8x16_t second, int8x16_t pair[2]) {
  const int32x4_t a = vreinterpretq_s32_s8(first), b = vreinterpretq_s32_s8(second);
  pair[0] = vreinterpretq_s8_s32(vzip1q_s32(a, b));
  pair[1] = vreinterpretq_s8_s32(vzip2q_s32(a, b));
}

/* The products of two steps, at `first` and `second`; a register of sums holds 2 rows x 2 pixels. */
PV_INLINE void pair_step(const int8x16_t weights[4], const int8_t* first, const int8_t* second, int vectors,
                         int32x4_t acc[4][6]) {
  PV_UNROLL
  for (int v = 0; v < vectors; v++) {
    int8x16_t pixels[2];
    pairs_of(vld1q_s8(first + 16 * v), second ? vld1q_s8(second + 16 * v) : vdupq_n_s8(0), pixels);
    PV_UNROLL
    for (int half = 0; half < 2; half++)
      PV_UNROLL
      for (int r = 0; r < 4; r++)
        acc[r][2 * v + half] = vmmlaq_s32(acc[r][2 * v + half], weights[r], pixels[half]);
  }
}

/* Sums of PV_TILE_ROWS output channels over `vectors` * 4 pixels. */
PV_INLINE void tile_sums(const int8_t* x, const int32_t* offsets, const int8_t* w, int32_t steps, int vectors,
                         int32x4_t sums[PV_TILE_ROWS][3]) {
  int32x4_t acc[4][6];
  int8x16_t weights[4];
  int32_t k = 0;
  PV_UNROLL
  for (int r = 0; r < 4; r++)
    PV_UNROLL
    for (int v = 0; v < 2 * vectors; v++) acc[r][v] = vdupq_n_s32(0);
  for (; k + 2 <= steps; k += 2, w += 8 * PV_TILE_ROWS) {
    pairs_of(vld1q_s8(w), vld1q_s8(w + 32), weights);
    pairs_of(vld1q_s8(w + 16), vld1q_s8(w + 48), weights + 2);
    pair_step(weights, x + 4 * (ptrdiff_t)offsets[k], x + 4 * (ptrdiff_t)offsets[k + 1], vectors, acc);
  }
  if (k < steps) {
    pairs_of(vld1q_s8(w), vdupq_n_s8(0), weights);
    pairs_of(vld1q_s8(w + 16), vdupq_n_s8(0), weights + 2);
    pair_step(weights, x + 4 * (ptrdiff_t)offsets[k], NULL, vectors, acc);
  }
  PV_UNROLL
  for (int r = 0; r < 4; r++)
    PV_UNROLL
    for (int v = 0; v < vectors; v++) {
      const int64x2_t low = vreinterpretq_s64_s32(acc[r][2 * v]), high = vreinterpretq_s64_s32(acc[r][2 * v + 1]);
      sums[2 * r][v] = vreinterpretq_s32_s64(vzip1q_s64(low, high));
      sums[2 * r + 1][v] = vreinterpretq_s32_s64(vzip2q_s64(low, high));
    }
}

#include "neon_sums.inc"

PV_TARGET_END

static int neon_i8mm_supported(void) {
#if defined(__linux__)
  return ((getauxval(AT_HWCAP) >> 20) & 1) && ((getauxval(AT_HWCAP2) >> 13) & 1); /* HWCAP_ASIMDDP, HWCAP2_I8MM */
#elif defined(__ARM_FEATURE_MATMUL_INT8) && defined(__ARM_FEATURE_DOTPROD)
  return 1;
#else
  return 0;
#endif
}

const pv_kernels pv_kernels_neon_i8mm = {
    .name = "neon_i8mm",
    .supported = neon_i8mm_supported,
#include "neon_table.inc"
};
#endif
