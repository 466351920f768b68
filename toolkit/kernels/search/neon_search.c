#if defined(__aarch64__)
#include <arm_neon.h>

#include "kernels.h"

PV_INLINE float dot_f32(const float* a, const float* b, int32_t n) {
  float32x4_t s0 = vdupq_n_f32(0), s1 = s0, s2 = s0, s3 = s0;
  int32_t i = 0;
  for (; i + 16 <= n; i += 16) {
    s0 = vfmaq_f32(s0, vld1q_f32(a + i), vld1q_f32(b + i));
    s1 = vfmaq_f32(s1, vld1q_f32(a + i + 4), vld1q_f32(b + i + 4));
    s2 = vfmaq_f32(s2, vld1q_f32(a + i + 8), vld1q_f32(b + i + 8));
    s3 = vfmaq_f32(s3, vld1q_f32(a + i + 12), vld1q_f32(b + i + 12));
  }
  float sum = vaddvq_f32(vaddq_f32(vaddq_f32(s0, s1), vaddq_f32(s2, s3)));
  for (; i < n; i++) sum += a[i] * b[i];
  return sum;
}

PV_INLINE float dot_f16(const float* a, const uint16_t* b, int32_t n) {
  float32x4_t s0 = vdupq_n_f32(0), s1 = s0;
  int32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const float16x8_t halves = vreinterpretq_f16_u16(vld1q_u16(b + i));
    s0 = vfmaq_f32(s0, vld1q_f32(a + i), vcvt_f32_f16(vget_low_f16(halves)));
    s1 = vfmaq_f32(s1, vld1q_f32(a + i + 4), vcvt_f32_f16(vget_high_f16(halves)));
  }
  float sum = vaddvq_f32(vaddq_f32(s0, s1));
  for (; i < n; i++) sum += a[i] * pv_half_to_float(b[i]);
  return sum;
}

/* Two products of at most 127 * 128 fit an int16; pairs are then widened into int32 sums. */
PV_INLINE int32_t dot_i8(const int8_t* a, const int8_t* b, int32_t n) {
  int32x4_t sums = vdupq_n_s32(0);
  int32_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const int8x16_t va = vld1q_s8(a + i), vb = vld1q_s8(b + i);
    int16x8_t pairs = vmull_s8(vget_low_s8(va), vget_low_s8(vb));
    pairs = vmlal_s8(pairs, vget_high_s8(va), vget_high_s8(vb));
    sums = vpadalq_s16(sums, pairs);
  }
  int32_t sum = vaddvq_s32(sums);
  for (; i < n; i++) sum += a[i] * b[i];
  return sum;
}

PV_INLINE int32_t distance(const uint64_t* a, const uint64_t* b, int32_t words) {
  int32_t bits = 0;
  for (int32_t i = 0; i < words; i++) bits += vaddv_u8(vcnt_u8(vcreate_u8(a[i] ^ b[i])));
  return bits;
}

PV_SCAN(scan_f32, dot_f32, float, float, float)
PV_SCAN(scan_f16, dot_f16, float, uint16_t, float)
PV_SCAN(scan_i8, dot_i8, int8_t, int8_t, int32_t)
PV_SCAN(scan_bits, distance, uint64_t, uint64_t, int32_t)

static void widen_f16(const uint16_t* halves, int64_t n, float* out) {
  int64_t i = 0;
  for (; i + 4 <= n; i += 4) vst1q_f32(out + i, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(halves + i))));
  for (; i < n; i++) out[i] = pv_half_to_float(halves[i]);
}

#define PV_TILE(name) name
#define PV_VEC float32x4_t
#define PV_VECS 4
#define PV_TILE_COUNT 6
#define PV_ZERO() vdupq_n_f32(0)
#define PV_LOAD(p) vld1q_f32(p)
#define PV_STORE(p, v) vst1q_f32(p, v)
#define PV_MULTIPLY_ADD(sum, panel, value) vfmaq_n_f32(sum, panel, value)
#include "tile.inc"

PV_TARGET_BEGIN("arch=armv8.2-a+dotprod")

PV_INLINE int32_t dotprod_i8(const int8_t* a, const int8_t* b, int32_t n) {
  int32x4_t s0 = vdupq_n_s32(0), s1 = s0;
  int32_t i = 0;
  for (; i + 32 <= n; i += 32) {
    s0 = vdotq_s32(s0, vld1q_s8(a + i), vld1q_s8(b + i));
    s1 = vdotq_s32(s1, vld1q_s8(a + i + 16), vld1q_s8(b + i + 16));
  }
  int32_t sum = vaddvq_s32(vaddq_s32(s0, s1));
  for (; i < n; i++) sum += a[i] * b[i];
  return sum;
}

PV_SCAN(dotprod_scan_i8, dotprod_i8, int8_t, int8_t, int32_t)

/* The panel's bytes are query + 128; flipping their top bit makes them the signed query again, zero past dim. */
PV_INLINE void group_i8(const uint8_t* panel, const int8_t* rows, int32_t dim, int32_t count, int32_t* sums) {
  const uint8x16_t flip = vdupq_n_u8(0x80);
  int32x4_t totals[6][4];
  for (int32_t r = 0; r < count; r++)
    for (int v = 0; v < 4; v++) totals[r][v] = vdupq_n_s32(0);
  for (int32_t i = 0; i < dim; i += 4) {
    int8x16_t lanes[4];
    for (int v = 0; v < 4; v++) {
      lanes[v] = vreinterpretq_s8_u8(veorq_u8(vld1q_u8(panel + (int64_t)i * PV_LANES + 16 * v), flip));
    }
    for (int32_t r = 0; r < count; r++) {
      int32_t four = 0;
      memcpy(&four, rows + (int64_t)r * dim + i, dim - i < 4 ? (size_t)(dim - i) : 4);
      const int8x16_t bytes = vreinterpretq_s8_s32(vdupq_n_s32(four));
      for (int v = 0; v < 4; v++) totals[r][v] = vdotq_s32(totals[r][v], lanes[v], bytes);
    }
  }
  for (int32_t r = 0; r < count; r++)
    for (int v = 0; v < 4; v++) vst1q_s32(sums + r * PV_LANES + 4 * v, totals[r][v]);
}

static void dotprod_tile_i8(const uint8_t* panel, const int8_t* rows, int32_t dim, int32_t count,
                            const int32_t* row_sums, int32_t* sums) {
  (void)row_sums; /* signed products need no correction */
  int32_t r = 0;
  for (; r + 6 <= count; r += 6) group_i8(panel, rows + (int64_t)r * dim, dim, 6, sums + r * PV_LANES);
  for (; r < count; r++) group_i8(panel, rows + (int64_t)r * dim, dim, 1, sums + r * PV_LANES);
}

PV_TARGET_END

const pv_search_kernels pv_search_kernels_neon = {
    "neon", scan_f32, scan_f16, scan_i8, scan_bits, widen_f16, tile_f32, NULL,
};
const pv_search_kernels pv_search_kernels_neon_dotprod = {
    "neon_dotprod", scan_f32, scan_f16, dotprod_scan_i8, scan_bits, widen_f16, tile_f32, dotprod_tile_i8,
};
const pv_search_kernels pv_search_kernels_neon_i8mm = { /* bytes of rows bind a scan: no other products than those */
    "neon_i8mm", scan_f32, scan_f16, dotprod_scan_i8, scan_bits, widen_f16, tile_f32, dotprod_tile_i8,
};
#endif
