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

static int32_t dot_i8(const int8_t* a, const int8_t* b, int32_t n) {
  int32_t sum = 0;
  for (int32_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

static int32_t distance(const uint64_t* a, const uint64_t* b, int32_t words) {
  int32_t bits = 0;
  for (int32_t i = 0; i < words; i++)
    for (uint64_t left = a[i] ^ b[i]; left; left &= left - 1) bits++;
  return bits;
}

PV_SCAN(scan_f32, dot_f32, float, float, float)
PV_SCAN(scan_f16, dot_f16, float, uint16_t, float)
PV_SCAN(scan_i8, dot_i8, int8_t, int8_t, int32_t)
PV_SCAN(scan_bits, distance, uint64_t, uint64_t, int32_t)

static void widen_f16(const uint16_t* halves, int64_t n, float* out) {
  for (int64_t i = 0; i < n; i++) out[i] = pv_half_to_float(halves[i]);
}

static void tile_f32(const float* panel, const float* rows, int32_t dim, int32_t count, float* scores) {
  for (int32_t r = 0; r < count; r++) {
    float* sums = scores + r * PV_LANES;
    for (int lane = 0; lane < PV_LANES; lane++) sums[lane] = 0;
    for (int32_t i = 0; i < dim; i++) {
      const float value = rows[(int64_t)r * dim + i];
      for (int lane = 0; lane < PV_LANES; lane++) sums[lane] += panel[(int64_t)i * PV_LANES + lane] * value;
    }
  }
}

const pv_search_kernels pv_search_kernels_scalar = {
    "scalar", scan_f32, scan_f16, scan_i8, scan_bits, widen_f16, tile_f32, NULL,
};
