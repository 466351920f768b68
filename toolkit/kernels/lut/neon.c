/* NEON without the dot product (Cortex-A53, A57, A72, A73): smull, smlal2 and sadalp.
 *
 * A product of two int8 in -127..127 is at most 16129, so two of them fit int16 before they are widened. */
#include "kernels.h"

#if defined(__aarch64__)
#include <arm_neon.h>

PV_INLINE int32x4_t pv_dot16(int32x4_t acc, int8x16_t a, int8x16_t b) {
  const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
  return vpadalq_s16(acc, vmlal_high_s8(low, a, b));
}

/* Pairs of products fit int16: 2 * 127 * 127. */
PV_INLINE int32x4_t pv_dot_quads(int32x4_t acc, int8x16_t a, int8x16_t b) {
  const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);
  return vpadalq_s16(acc, vpaddq_s16(low, high));
}

#define NEON_VECTORS 3
#include "neon.inc"

/* 4 output channels x 4 pixels at a time: the 4 channels of a pixel and step are summed as two halves, which
 * stay apart (int32x4: pixel 0 halves, pixel 1 halves) until the end. Two steps share one widening. */
PV_INLINE void gemm_i8_part(const pv_gemm* g, int row, int vector) {
  const int8_t* w = (const int8_t*)g->panel + 4 * row;
  int32x4_t acc[4][2];
  for (int r = 0; r < 4; r++) acc[r][0] = acc[r][1] = vdupq_n_s32(0);
  for (int32_t k = 0; k < g->steps; k += 2) {
    const int pair = k + 1 < g->steps;
    const int8_t* first = (const int8_t*)g->x + 4 * (ptrdiff_t)(g->offsets[k] + 4 * vector);
    const int8_t* second = (const int8_t*)g->x + 4 * (ptrdiff_t)(g->offsets[k + pair] + 4 * vector);
    const int8x16_t a = vld1q_s8(first), b = pair ? vld1q_s8(second) : vdupq_n_s8(0);
    for (int r = 0; r < 4; r++) {
      int32_t quad[2];
      memcpy(&quad[0], w + (size_t)k * 4 * PV_TILE_ROWS + 4 * r, 4);
      memcpy(&quad[1], w + (size_t)(k + pair) * 4 * PV_TILE_ROWS + 4 * r, 4);
      const int8x8_t wa = vreinterpret_s8_s32(vdup_n_s32(quad[0])), wb = vreinterpret_s8_s32(vdup_n_s32(quad[1]));
      const int16x8_t low = vmlal_s8(vmull_s8(vget_low_s8(a), wa), vget_low_s8(b), wb);
      const int16x8_t high = vmlal_s8(vmull_s8(vget_high_s8(a), wa), vget_high_s8(b), wb);
      acc[r][0] = vpadalq_s16(acc[r][0], low);
      acc[r][1] = vpadalq_s16(acc[r][1], high);
    }
  }
  for (int r = 0; r < 4; r++)
    vst1q_s32((int32_t*)g->acc + (row + r) * PV_TILE_PIXELS + 4 * vector, vpaddq_s32(acc[r][0], acc[r][1]));
}

static void neon_gemm_i8(const pv_gemm* g) {
  for (int row = 0; row < PV_TILE_ROWS; row += 4)
    for (int vector = 0; vector < g->vectors; vector++) gemm_i8_part(g, row, vector);
}

/* As gemm_i8_part, of int8 activations and finished: 4 output channels x 4 pixels. */
PV_INLINE void i8_tile_part(const pv_i8_tile* t, int quad, int vector) {
  const int8_t* w = t->panel + 16 * quad;
  int32x4_t acc[4][2], sums[4];
  for (int r = 0; r < 4; r++) acc[r][0] = acc[r][1] = vdupq_n_s32(0);
  for (int32_t k = 0; k < t->steps; k++, w += 4 * PV_TILE_ROWS) {
    const int8x16_t x = vld1q_s8(t->x + 4 * (ptrdiff_t)(t->offsets[k] + 4 * vector));
    for (int r = 0; r < 4; r++) {
      int32_t four;
      memcpy(&four, w + 4 * r, sizeof four);
      const int8x8_t weight = vreinterpret_s8_s32(vdup_n_s32(four));
      acc[r][0] = vpadalq_s16(acc[r][0], vmull_s8(vget_low_s8(x), weight));
      acc[r][1] = vpadalq_s16(acc[r][1], vmull_s8(vget_high_s8(x), weight));
    }
  }
  for (int r = 0; r < 4; r++) sums[r] = vpaddq_s32(acc[r][0], acc[r][1]);
  vst1q_s8(t->y + (size_t)quad * t->pitch + 16 * vector, finish_quad(t->finish, 4 * quad, sums));
}

static void neon_i8_tile(const pv_i8_tile* t) {
  for (int quad = 0; quad < t->quads; quad++)
    for (int vector = 0; vector < t->vectors; vector++) i8_tile_part(t, quad, vector);
}

static int neon_supported(void) { return 1; }

const pv_kernels pv_kernels_neon = {
    .name = "neon",
    .supported = neon_supported,
#include "neon_table.inc"
};
#endif
