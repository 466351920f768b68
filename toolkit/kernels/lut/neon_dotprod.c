/* NEON with the dot product (Cortex-A55, A75, A76 and later). */
#include "kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif

#if defined(__clang__)
PV_TARGET_BEGIN("dotprod")
#else
PV_TARGET_BEGIN("arch=armv8.2-a+dotprod")
#endif

PV_INLINE int32x4_t pv_dot16(int32x4_t acc, int8x16_t a, int8x16_t b) { return vdotq_s32(acc, a, b); }

PV_INLINE int32x4_t pv_dot_quads(int32x4_t acc, int8x16_t a, int8x16_t b) { return vdotq_s32(acc, a, b); }

#define NEON_VECTORS 3
#include "neon.inc"

/* A step of one output channel: its 4 weights against the 4 channels of 4 pixels. */
#define PV_STEP(r, weights, lane) \
  PV_UNROLL \
  for (int v = 0; v < vectors; v++) acc[r][v] = vdotq_laneq_s32(acc[r][v], pixels[v], weights, lane);

/* Sums of PV_TILE_ROWS output channels over `vectors` * 4 pixels. */
PV_INLINE void tile_sums(const int8_t* x, const int32_t* offsets, const int8_t* w, int32_t steps, int vectors,
                         int32x4_t acc[PV_TILE_ROWS][3]) {
  PV_UNROLL
  for (int r = 0; r < PV_TILE_ROWS; r++)
    PV_UNROLL
    for (int v = 0; v < vectors; v++) acc[r][v] = vdupq_n_s32(0);
  for (int32_t k = 0; k < steps; k++, w += 4 * PV_TILE_ROWS) {
    const int8_t* from = x + 4 * (ptrdiff_t)offsets[k];
    const int8x16_t low = vld1q_s8(w), high = vld1q_s8(w + 16);
    int8x16_t pixels[3];
    PV_UNROLL
    for (int v = 0; v < vectors; v++) pixels[v] = vld1q_s8(from + 16 * v);
    PV_STEP(0, low, 0) PV_STEP(1, low, 1) PV_STEP(2, low, 2) PV_STEP(3, low, 3)
    PV_STEP(4, high, 0) PV_STEP(5, high, 1) PV_STEP(6, high, 2) PV_STEP(7, high, 3)
  }
}

#include "neon_sums.inc"

PV_TARGET_END

static int neon_dotprod_supported(void) {
#if defined(__linux__)
  return pv_dot_product_is_known() || ((getauxval(AT_HWCAP) >> 20) & 1); /* HWCAP_ASIMDDP */
#elif defined(__ARM_FEATURE_DOTPROD)
  return 1;
#else
  return 0;
#endif
}

const pv_kernels pv_kernels_neon_dotprod = {
    .name = "neon_dotprod",
    .supported = neon_dotprod_supported,
#include "neon_table.inc"
};
#endif
