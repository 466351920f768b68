#if defined(__aarch64__)
#include <arm_neon.h>

#include "kernels.h"

static float neon_dot_f32(const float* a, const float* b, int32_t n) {
  float32x4_t s0 = vdupq_n_f32(0), s1 = s0, s2 = s0, s3 = s0;
  int32_t i = 0;
  for (; i + 16 <= n; i += 16) {
    s0 = vfmaq_f32(s0, vld1q_f32(a + i), vld1q_f32(b + i));
    s1 = vfmaq_f32(s1, vld1q_f32(a + i + 4), vld1q_f32(b + i + 4));
    s2 = vfmaq_f32(s2, vld1q_f32(a + i + 8), vld1q_f32(b + i + 8));
    s3 = vfmaq_f32(s3, vld1q_f32(a + i + 12), vld1q_f32(b + i + 12));
  }
  const float sum = vaddvq_f32(vaddq_f32(vaddq_f32(s0, s1), vaddq_f32(s2, s3)));
  return sum + pv_search_kernels_scalar.dot_f32(a + i, b + i, n - i);
}

static float neon_dot_f16(const float* a, const uint16_t* b, int32_t n) {
  float32x4_t s0 = vdupq_n_f32(0), s1 = s0;
  int32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const float16x8_t halves = vreinterpretq_f16_u16(vld1q_u16(b + i));
    s0 = vfmaq_f32(s0, vld1q_f32(a + i), vcvt_f32_f16(vget_low_f16(halves)));
    s1 = vfmaq_f32(s1, vld1q_f32(a + i + 4), vcvt_f32_f16(vget_high_f16(halves)));
  }
  return vaddvq_f32(vaddq_f32(s0, s1)) + pv_search_kernels_scalar.dot_f16(a + i, b + i, n - i);
}

static float neon_dot_f32_i8(const float* a, const int8_t* b, int32_t n) {
  float32x4_t s0 = vdupq_n_f32(0), s1 = s0;
  int32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const int16x8_t wide = vmovl_s8(vld1_s8(b + i));
    s0 = vfmaq_f32(s0, vld1q_f32(a + i), vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide))));
    s1 = vfmaq_f32(s1, vld1q_f32(a + i + 4), vcvtq_f32_s32(vmovl_s16(vget_high_s16(wide))));
  }
  return vaddvq_f32(vaddq_f32(s0, s1)) + pv_search_kernels_scalar.dot_f32_i8(a + i, b + i, n - i);
}

/* Two products of at most 127 * 127 fit an int16; pairs are then widened into int32 sums. */
static int32_t neon_dot_i8(const int8_t* a, const int8_t* b, int32_t n) {
  int32x4_t sums = vdupq_n_s32(0);
  int32_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const int8x16_t va = vld1q_s8(a + i), vb = vld1q_s8(b + i);
    int16x8_t pairs = vmull_s8(vget_low_s8(va), vget_low_s8(vb));
    pairs = vmlal_s8(pairs, vget_high_s8(va), vget_high_s8(vb));
    sums = vpadalq_s16(sums, pairs);
  }
  return vaddvq_s32(sums) + pv_search_kernels_scalar.dot_i8(a + i, b + i, n - i);
}

PV_TARGET_BEGIN("arch=armv8.2-a+dotprod")

static int32_t neon_dotprod_dot_i8(const int8_t* a, const int8_t* b, int32_t n) {
  int32x4_t s0 = vdupq_n_s32(0), s1 = s0;
  int32_t i = 0;
  for (; i + 32 <= n; i += 32) {
    s0 = vdotq_s32(s0, vld1q_s8(a + i), vld1q_s8(b + i));
    s1 = vdotq_s32(s1, vld1q_s8(a + i + 16), vld1q_s8(b + i + 16));
  }
  return vaddvq_s32(vaddq_s32(s0, s1)) + neon_dot_i8(a + i, b + i, n - i);
}

PV_TARGET_END

const pv_search_kernels pv_search_kernels_neon = {"neon", neon_dot_f32, neon_dot_f16, neon_dot_f32_i8,
                                                  neon_dot_i8};
const pv_search_kernels pv_search_kernels_neon_dotprod = {"neon_dotprod", neon_dot_f32, neon_dot_f16,
                                                          neon_dot_f32_i8, neon_dotprod_dot_i8};
#endif
