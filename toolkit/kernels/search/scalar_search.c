#include "kernels.h"

float pv_half_to_float(uint16_t half) {
  const uint32_t sign = (uint32_t)(half & 0x8000u) << 16, mantissa = half & 0x3ffu;
  const uint32_t exponent = (half >> 10) & 0x1fu;
  uint32_t bits;
  if (exponent == 31) {
    bits = sign | 0x7f800000u | mantissa << 13;
  } else if (exponent) {
    bits = sign | (exponent + 112) << 23 | mantissa << 13;
  } else { /* zero or subnormal: mantissa * 2^-24 */
    const float value = (float)mantissa * 0x1p-24f;
    memcpy(&bits, &value, sizeof bits);
    bits |= sign;
  }
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static float dot_f32(const float* a, const float* b, int32_t n) {
  float sum = 0;
  for (int32_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

static float dot_f16(const float* a, const uint16_t* b, int32_t n) {
  float sum = 0;
  for (int32_t i = 0; i < n; i++) sum += a[i] * pv_half_to_float(b[i]);
  return sum;
}

static float dot_f32_i8(const float* a, const int8_t* b, int32_t n) {
  float sum = 0;
  for (int32_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

static int32_t dot_i8(const int8_t* a, const int8_t* b, int32_t n) {
  int32_t sum = 0;
  for (int32_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

const pv_search_kernels pv_search_kernels_scalar = {"scalar", dot_f32, dot_f16, dot_f32_i8, dot_i8};
