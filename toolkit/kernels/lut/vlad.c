/* pv_vlad_pool: NetVLAD aggregation (Arandjelovic et al., CVPR 2016, eq. 4) of one image in one pass.
 *
 * L2 per location, soft assignment by packed codes (a 1x1 convolution), softmax over the clusters, sums of residuals
 * as a matrix product over the locations, intra-normalisation, L2. Loops run over locations, which lie side by side,
 * and keep the same order of additions on every instruction set. */
#include <math.h>

#include "kernels.h"

static const float pv_epsilon = 1e-12f; /* of torch.nn.functional.normalize */

/* Scratch, float32: features [dims, locations], logits [clusters, locations], two rows of locations, then either the
 * assignment's own scratch or what the aggregation reads. */
typedef struct pv_pool {
  float* features;
  float* logits;
  float* row[2];
  uint8_t* rest;
} pv_pool;

static pv_conv assignment(const pv_vlad* v) {
  return (pv_conv){v->dims, 1, v->locations, {1, 1}, {1, 1}, {0, 0}, {1, 1}, 1, 0, 0, 0};
}

static size_t floats(size_t n) { return pv_round_up(n * sizeof(float), PV_LINE); }

static pv_pool view(const pv_vlad* v, void* scratch) {
  const size_t n = (size_t)v->locations;
  pv_pool p;
  uint8_t* base = pv_align(scratch);
  p.features = (float*)base;
  p.logits = (float*)(base += floats((size_t)v->dims * n));
  p.row[0] = (float*)(base += floats((size_t)v->clusters * n));
  p.row[1] = (float*)(base += floats(n));
  p.rest = base + floats(n);
  return p;
}

/* Features with a location's dimensions side by side, in whole tiles; the panel; its offsets; the sums. */
static size_t padded_dims(const pv_vlad* v) { return pv_round_up((size_t)v->dims, PV_TILE_PIXELS); }

static size_t aggregation_bytes(const pv_vlad* v) {
  const size_t n = (size_t)v->locations;
  return floats(n * padded_dims(v)) + floats(n * PV_TILE_ROWS) + floats(n) + floats(PV_TILE_ROWS * PV_TILE_PIXELS);
}

int pv_vlad_check(const pv_lut* lut, const pv_vlad* v) {
  if (v->clusters < 1 || v->dims < 1 || v->locations < 1 || v->clusters != lut->rows) return PV_ERROR_SHAPE;
  if ((double)v->locations * (double)padded_dims(v) > 5e8) return PV_ERROR_SHAPE;
  if ((int64_t)v->clusters * v->dims > INT32_MAX) return PV_ERROR_SHAPE; /* of the descriptor: a runtime's sizes are int32 */
  const pv_conv conv = assignment(v);
  return pv_conv_check(lut, &conv);
}

size_t pv_vlad_pool_scratch_bytes(const pv_lut* lut, const pv_vlad* v, int fast) {
  const size_t n = (size_t)v->locations;
  const pv_conv conv = assignment(v);
  const size_t assign = pv_lut_conv2d_scratch_bytes(lut, &conv, fast) + pv_lut_conv2d_worker_bytes(lut, &conv, fast);
  const size_t aggregate = aggregation_bytes(v);
  return PV_LINE + floats((size_t)v->dims * n) + floats((size_t)v->clusters * n) + 2 * floats(n) +
         (assign > aggregate ? assign : aggregate);
}

/* x [dims, n] -> unit length per location. */
static void normalize_locations(const pv_vlad* v, const float* restrict x, float* restrict norm, float* restrict out) {
  const size_t n = (size_t)v->locations;
  memset(norm, 0, n * sizeof(float));
  for (int32_t d = 0; d < v->dims; d++)
    for (size_t i = 0; i < n; i++) norm[i] += x[(size_t)d * n + i] * x[(size_t)d * n + i];
  for (size_t i = 0; i < n; i++) {
    const float length = sqrtf(norm[i]);
    norm[i] = length > pv_epsilon ? length : pv_epsilon;
  }
  for (int32_t d = 0; d < v->dims; d++)
    for (size_t i = 0; i < n; i++) out[(size_t)d * n + i] = x[(size_t)d * n + i] / norm[i];
}

/* logits [clusters, n] -> weights that sum to 1 over the clusters, in place. */
static void softmax(const pv_vlad* v, float* restrict logits, float* restrict largest, float* restrict total) {
  const size_t n = (size_t)v->locations;
  pv_active()->exponentials(logits, v->clusters, n, n, largest, total);
  for (int32_t k = 0; k < v->clusters; k++)
    for (size_t i = 0; i < n; i++) logits[(size_t)k * n + i] /= total[i];
}

/* Unit length; returns the length it had. */
static void unit(float* x, size_t n) {
  double squares = 0;
  for (size_t i = 0; i < n; i++) squares += (double)x[i] * (double)x[i];
  const float length = (float)sqrt(squares);
  const float divisor = length > pv_epsilon ? length : pv_epsilon;
  for (size_t i = 0; i < n; i++) x[i] /= divisor;
}

/* [rows, columns] -> [columns, pitch], in squares that stay in the L1 cache. */
static void transpose(const float* restrict x, size_t rows, size_t columns, size_t pitch, float* restrict out) {
  enum { SIDE = 16 };
  for (size_t r = 0; r < rows; r += SIDE)
    for (size_t c = 0; c < columns; c += SIDE)
      for (size_t j = c; j < columns && j < c + SIDE; j++)
        for (size_t i = r; i < rows && i < r + SIDE; i++) out[j * pitch + i] = x[i * columns + j];
}

/* The sums of a tile of up to PV_TILE_ROWS clusters, weights [rows, n], minus their centres -> y [rows, dims]. */
static void aggregate_tile(const pv_vlad* v, const pv_gemm* base, const float* total, int32_t first, int32_t rows,
                           float* y) {
  const pv_kernels* k = pv_active();
  const int32_t step = k->lanes * k->max_vectors;
  pv_gemm gemm = *base;
  for (int32_t d = 0; d < v->dims; d += step) {
    const int32_t count = pv_min(step, v->dims - d);
    gemm.x = (const float*)base->x + d;
    gemm.vectors = (count + k->lanes - 1) / k->lanes;
    k->gemm_f32(&gemm);
    for (int32_t r = 0; r < rows; r++) {
      const int8_t* centre = v->centroids + (size_t)(first + r) * (size_t)v->dims + d;
      const float* acc = (const float*)gemm.acc + r * PV_TILE_PIXELS;
      for (int32_t i = 0; i < count; i++)
        y[(size_t)r * (size_t)v->dims + (size_t)(d + i)] =
            acc[i] - total[r] * ((float)centre[i] * v->centroid_scale[first + r]);
    }
  }
}

/* weights [clusters, n], features [dims, n] -> residual sums y [clusters, dims]. */
static void aggregate(const pv_vlad* v, const pv_pool* p, float* y) {
  const size_t n = (size_t)v->locations, pitch = padded_dims(v);
  float* features = (float*)p->rest;
  float* panel = (float*)(p->rest + floats(n * pitch));
  int32_t* offsets = (int32_t*)((uint8_t*)panel + floats(n * PV_TILE_ROWS));
  void* acc = (uint8_t*)offsets + floats(n);
  transpose(p->features, (size_t)v->dims, n, pitch, features);
  for (size_t i = 0; i < n; i++) {
    offsets[i] = (int32_t)(i * pitch);
    memset(features + i * pitch + v->dims, 0, (pitch - (size_t)v->dims) * sizeof(float));
  }
  for (int32_t first = 0; first < v->clusters; first += PV_TILE_ROWS) {
    const int32_t rows = pv_min(PV_TILE_ROWS, v->clusters - first);
    float total[PV_TILE_ROWS] = {0};
    memset(panel, 0, n * PV_TILE_ROWS * sizeof(float));
    transpose(p->logits + (size_t)first * n, (size_t)rows, n, PV_TILE_ROWS, panel);
    for (size_t i = 0; i < n; i++)
      for (int r = 0; r < PV_TILE_ROWS; r++) total[r] += panel[i * PV_TILE_ROWS + (size_t)r];
    const pv_gemm gemm = {features, offsets, panel, (int32_t)n, 1, rows, acc};
    aggregate_tile(v, &gemm, total, first, rows, y + (size_t)first * (size_t)v->dims);
  }
}

int pv_vlad_pool(const pv_lut* lut, const pv_vlad* v, const float* x, int fast, void* scratch, float* y) {
  int error = pv_vlad_check(lut, v);
  if (error) return error;
  const pv_pool p = view(v, scratch);
  const pv_conv conv = assignment(v);
  normalize_locations(v, x, p.row[0], p.features);
  uint8_t* worker = p.rest + pv_lut_conv2d_scratch_bytes(lut, &conv, fast);
  error = pv_lut_conv2d_prepare(lut, &conv, p.features, fast, p.rest);
  if (!error) error = pv_lut_conv2d_rows(lut, &conv, fast, p.rest, worker, p.logits, 0, v->clusters);
  if (error) return error;
  softmax(v, p.logits, p.row[0], p.row[1]);
  aggregate(v, &p, y);
  for (int32_t k = 0; k < v->clusters; k++) unit(y + (size_t)k * (size_t)v->dims, (size_t)v->dims);
  unit(y, (size_t)v->clusters * (size_t)v->dims);
  return PV_OK;
}
