/* Refinement of int8 rows: their residuals, and how far a row scanned without them may be off. */
#include <math.h>

#include "scan.h"

/* The quarter of the int8 step that value i lies in: two bits, the first value in the lowest. */
PV_INLINE int residual(const uint8_t* residuals, int32_t i) { return residuals[i / 4] >> 2 * (i % 4) & 3; }

/* Eighths of a step, below 2^10 and exact: value + (residual - 1.5) / 4. */
PV_INLINE float eighths(int8_t value, int residual) { return (float)(8 * value + 2 * residual - 3); }

/* One order of summation, and so the same bits, on every instruction set: few rows come here. */
float pv_refined_cosine(const pv_index* index, const float* query, int64_t row) {
  enum { LANES = 16 };
  const int32_t dim = index->dim;
  const int8_t* values = pv_rows_i8(index, row);
  const uint8_t* residuals = index->residuals + (size_t)row * pv_residual_bytes(dim);
  float sums[LANES] = {0};
  int32_t i = 0;
  for (; i + LANES <= dim; i += LANES) {
    for (int lane = 0; lane < LANES; lane++) {
      sums[lane] += query[i + lane] * eighths(values[i + lane], residual(residuals + i / 4, lane));
    }
  }
  for (int lane = 0; i + lane < dim; lane++) {
    sums[lane] += query[i + lane] * eighths(values[i + lane], residual(residuals + i / 4, lane));
  }
  for (int half = LANES / 2; half; half /= 2) {
    for (int lane = 0; lane < half; lane++) sums[lane] += sums[lane + half];
  }
  return sums[0] * (index->scales[row] / 8);
}

/* A residual is at most 3/8 of a step and sqrt(5)/8 in the mean of squares. Their sum against the query is at most
 * 3/8 of the sum of its magnitudes, and 8 standard deviations if signs are as good as random, whichever is less. */
float pv_refinement_margin(const int8_t* query, int32_t dim, float scale) {
  double magnitudes = 0, squares = 0;
  for (int32_t i = 0; i < dim; i++) {
    magnitudes += fabs((double)query[i]);
    squares += (double)query[i] * query[i];
  }
  return (float)(scale * fmin(0.375 * magnitudes, sqrt(5 * squares)));
}

/* IEEE 754 half precision, also below its normal range; infinities and NaN stay what they are. */
static float half_value(uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  const float magnitude = exponent == 31 ? (fraction ? NAN : INFINITY)
                                         : ldexpf((float)(exponent ? fraction | 1024 : fraction),
                                                  (exponent ? exponent : 1) - 25);
  return half & 0x8000 ? -magnitude : magnitude;
}

void pv_index_vector(const pv_index* index, int64_t row, float* vector) {
  const size_t residual_bytes = pv_residual_bytes(index->dim);
  for (int32_t i = 0; i < index->dim; i++) {
    if (index->dtype == PV_FLOAT32) {
      vector[i] = pv_rows_f32(index, row)[i];
    } else if (index->dtype == PV_FLOAT16) {
      vector[i] = half_value(pv_rows_f16(index, row)[i]);
    } else {
      const int quarter = residual(index->residuals + (size_t)row * residual_bytes, i);
      vector[i] = eighths(pv_rows_i8(index, row)[i], quarter) * (index->scales[row] / 8);
    }
  }
}
