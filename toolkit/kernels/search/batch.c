/* Many queries at once: blocks of rows against panels of PV_LANES queries, then exact cosines of what passes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"

enum { FEWEST = 4 }; /* queries for which a panel beats one scan each */

typedef struct {
  const pv_index* index;
  const pv_search_kernels* kernels;
  const float* queries;
  int64_t count, panels;
  int32_t steps;      /* of four values, int8 */
  float* panel_f32;   /* [panels, dim, PV_LANES] */
  uint8_t* panel_i8;  /* [panels, steps, PV_LANES, 4], query + 128 */
  float* scales;      /* [panels * PV_LANES] of the int8 queries */
  float* margins;     /* [panels * PV_LANES], times a row's scale: what its residuals may add or take */
  float* widened;     /* [PV_ROW_BLOCK, dim] of float16 rows */
  int8_t* ones;       /* [dim] */
  pv_filter* filters; /* [count] */
} Batch;

static void batch_free(Batch* batch) {
  for (int64_t q = 0; batch->filters && q < batch->count; q++) pv_filter_free(batch->filters + q);
  free(batch->filters);
  free(batch->panel_f32);
  free(batch->panel_i8);
  free(batch->scales);
  free(batch->margins);
  free(batch->widened);
  free(batch->ones);
}

static int batch_allocate(Batch* batch) {
  const size_t dim = (size_t)batch->index->dim, lanes = (size_t)batch->panels * PV_LANES;
  batch->filters = calloc((size_t)batch->count, sizeof(pv_filter));
  if (batch->index->dtype == PV_INT8) {
    batch->panel_i8 = malloc(lanes * 4 * (size_t)batch->steps);
    batch->scales = calloc(lanes, sizeof(float));
    batch->margins = calloc(lanes, sizeof(float));
    batch->ones = malloc(dim);
    return batch->filters && batch->panel_i8 && batch->scales && batch->margins && batch->ones;
  }
  batch->panel_f32 = calloc(lanes * dim, sizeof(float));
  batch->widened = batch->index->dtype == PV_FLOAT16 ? malloc(PV_ROW_BLOCK * dim * sizeof(float)) : NULL;
  return batch->filters && batch->panel_f32 && (batch->widened || batch->index->dtype == PV_FLOAT32);
}

static float* panel_f32(const Batch* batch, int64_t panel) {
  return batch->panel_f32 + panel * batch->index->dim * PV_LANES;
}
static uint8_t* panel_i8(const Batch* batch, int64_t panel) {
  return batch->panel_i8 + panel * batch->steps * 4 * PV_LANES;
}

/* Two float32 sums of dim products in different orders differ by at most dim * 2^-23, for unit vectors. */
static float pack_f32(Batch* batch, int64_t q) {
  const int32_t dim = batch->index->dim;
  float* panel = panel_f32(batch, q / PV_LANES) + q % PV_LANES;
  for (int32_t i = 0; i < dim; i++) panel[(int64_t)i * PV_LANES] = batch->queries[q * dim + i];
  return (float)(dim * 0x1p-23);
}

static float pack_i8(Batch* batch, int64_t q, int8_t* values) {
  const int32_t dim = batch->index->dim;
  float error;
  batch->scales[q] = pv_quantize_query(batch->queries + q * dim, dim, values, &error);
  batch->margins[q] = pv_refinement_margin(values, dim, batch->scales[q]);
  uint8_t* panel = panel_i8(batch, q / PV_LANES) + 4 * (q % PV_LANES);
  for (int32_t i = 0; i < dim; i++) {
    panel[(int64_t)(i / 4) * 4 * PV_LANES + i % 4] = (uint8_t)(values[i] + 128);
  }
  return error;
}

static void pack(Batch* batch, int k, int32_t* rows, float* cosines) {
  const int quantized = batch->index->dtype == PV_INT8;
  if (quantized) memset(batch->panel_i8, 128, (size_t)batch->panels * PV_LANES * 4 * (size_t)batch->steps);
  for (int64_t q = 0; q < batch->count; q++) {
    const float error = quantized ? pack_i8(batch, q, batch->ones) : pack_f32(batch, q);
    pv_filter_init(batch->filters + q, k, 2 * error, cosines + q * k, rows + q * k);
  }
  if (quantized) memset(batch->ones, 1, (size_t)batch->index->dim);
}

/* The most that the cosines [count, PV_LANES] of int8 rows with one panel may be. */
static void score_i8(const Batch* batch, int64_t panel, int64_t row, int32_t count, const int32_t* row_sums,
                     float* scores) {
  int32_t sums[PV_ROW_BLOCK * PV_LANES];
  const int32_t dim = batch->index->dim;
  batch->kernels->tile_i8(panel_i8(batch, panel), pv_rows_i8(batch->index, row), dim, count, row_sums, sums);
  const float *scales = batch->scales + panel * PV_LANES, *margins = batch->margins + panel * PV_LANES;
  for (int32_t r = 0; r < count; r++) {
    for (int lane = 0; lane < PV_LANES; lane++) {
      const int at = r * PV_LANES + lane;
      scores[at] = ((float)sums[at] * scales[lane] + margins[lane]) * batch->index->scales[row + r];
    }
  }
}

static int keep(const Batch* batch, int64_t panel, const float* scores, int64_t row, int32_t count) {
  const int64_t first = panel * PV_LANES, left = batch->count - first;
  const int lanes = (int)(left < PV_LANES ? left : PV_LANES);
  pv_filter* filters = batch->filters + first;
  float limits[PV_LANES];
  for (int lane = 0; lane < PV_LANES; lane++) limits[lane] = lane < lanes ? filters[lane].limit : INFINITY;
  for (int32_t r = 0; r < count; r++, scores += PV_LANES) {
    int passing = 0;
    for (int lane = 0; lane < PV_LANES; lane++) passing |= scores[lane] >= limits[lane];
    for (int lane = 0; passing && lane < lanes; lane++) {
      if (!(scores[lane] >= limits[lane])) continue;
      const float most = scores[lane];
      float least = most;
      if (batch->margins) least -= 2 * batch->margins[first + lane] * batch->index->scales[row + r];
      if (pv_filter_keep(filters + lane, most, least, (int32_t)(row + r))) return PV_SEARCH_MEMORY;
      limits[lane] = filters[lane].limit;
    }
  }
  return PV_SEARCH_OK;
}

static int scan_block(const Batch* batch, int64_t row, int32_t count) {
  const pv_index* index = batch->index;
  const float* rows = batch->widened;
  float scores[PV_ROW_BLOCK * PV_LANES];
  int32_t row_sums[PV_ROW_BLOCK];
  if (index->dtype == PV_INT8) {
    batch->kernels->scan_i8(batch->ones, pv_rows_i8(index, row), index->dim, count, row_sums);
  } else if (index->dtype == PV_FLOAT16) {
    batch->kernels->widen_f16(pv_rows_f16(index, row), (int64_t)count * index->dim, batch->widened);
  } else {
    rows = pv_rows_f32(index, row);
  }
  int status = PV_SEARCH_OK;
  for (int64_t panel = 0; status == PV_SEARCH_OK && panel < batch->panels; panel++) {
    if (index->dtype == PV_INT8) {
      score_i8(batch, panel, row, count, row_sums, scores);
    } else {
      batch->kernels->tile_f32(panel_f32(batch, panel), rows, index->dim, count, scores);
    }
    status = keep(batch, panel, scores, row, count);
  }
  return status;
}

static int search_panels(Batch* batch, int k, int64_t begin, int64_t end, int32_t* rows, float* cosines) {
  int status = batch_allocate(batch) ? PV_SEARCH_OK : PV_SEARCH_MEMORY;
  if (status == PV_SEARCH_OK) pack(batch, k, rows, cosines);
  for (int64_t row = begin; status == PV_SEARCH_OK && row < end; row += PV_ROW_BLOCK) {
    status = scan_block(batch, row, (int32_t)(end - row < PV_ROW_BLOCK ? end - row : PV_ROW_BLOCK));
  }
  for (int64_t q = 0; status == PV_SEARCH_OK && q < batch->count; q++) {
    const float* query = batch->queries + q * batch->index->dim;
    const int found = pv_filter_finish(batch->filters + q, batch->index, batch->kernels, query);
    pv_fill_rest(found, k, rows + q * k, cosines + q * k);
  }
  batch_free(batch);
  return status;
}

int pv_search_batch(const pv_index* index, const float* queries, int64_t count, int k, int64_t begin, int64_t end,
                    int32_t* rows, float* cosines) {
  if (!pv_range_fits(index, k, begin, end) || count < 0) return PV_SEARCH_ARGUMENT;
  const pv_search_kernels* kernels = pv_search_active();
  if (count >= FEWEST && (index->dtype != PV_INT8 || kernels->tile_i8)) {
    Batch batch = {.index = index, .kernels = kernels, .queries = queries, .count = count};
    batch.panels = (count + PV_LANES - 1) / PV_LANES;
    batch.steps = (index->dim + 3) / 4;
    return search_panels(&batch, k, begin, end, rows, cosines);
  }
  int found = PV_SEARCH_OK;
  for (int64_t q = 0; found >= 0 && q < count; q++) {
    found = pv_search(index, queries + q * index->dim, k, begin, end, rows + q * k, cosines + q * k);
  }
  return found < 0 ? found : PV_SEARCH_OK;
}
