#include "search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"

const pv_search_kernels* pv_search_active(void) {
#define PV_KERNELS(isa) &pv_search_kernels_##isa,
  static const pv_search_kernels* const list[] = {
#include "../lut/kernels.inc"
  };
#undef PV_KERNELS
  const char* name = pv_isa();
  size_t i = 0;
  while (strcmp(list[i]->name, name)) i++;
  return list[i];
}

int pv_range_fits(const pv_index* index, int k, int64_t begin, int64_t end) {
  return k >= 1 && begin >= 0 && begin <= end && end <= index->count;
}

void pv_fill_rest(int found, int k, int32_t* rows, float* cosines) {
  for (int i = found; i < k; i++) {
    rows[i] = -1;
    cosines[i] = -INFINITY;
  }
}

/* |q . v - q8 . v * scale| <= |q - q8 * scale| |v| (Cauchy and Schwarz). A stored unit row is at most 2% longer than
 * 1; the last term covers float32 sums of dim products. */
float pv_quantize_query(const float* query, int32_t dim, int8_t* values, float* error) {
  float largest = 0;
  for (int32_t i = 0; i < dim; i++) largest = fmaxf(largest, fabsf(query[i]));
  const float scale = largest / 127, inverse = largest > 0 ? 127 / largest : 0;
  double squares = 0;
  for (int32_t i = 0; i < dim; i++) {
    const float rounded = fminf(127, fmaxf(-127, rintf(query[i] * inverse)));
    values[i] = (int8_t)rounded;
    const double rest = (double)query[i] - (double)rounded * scale;
    squares += rest * rest;
  }
  *error = (float)(1.02 * sqrt(squares) + dim * 0x1p-23);
  return scale;
}

float pv_exact_cosine(const pv_index* index, const pv_search_kernels* kernels, const float* query, int64_t row) {
  float score;
  if (index->dtype == PV_FLOAT32) {
    kernels->scan_f32(query, pv_rows_f32(index, row), index->dim, 1, &score);
  } else if (index->dtype == PV_FLOAT16) {
    kernels->scan_f16(query, pv_rows_f16(index, row), index->dim, 1, &score);
  } else {
    score = pv_refined_cosine(index, query, row);
  }
  return score;
}

int pv_filter_finish(pv_filter* filter, const pv_index* index, const pv_search_kernels* kernels, const float* query) {
  pv_best* best = &filter->best;
  best->size = 0;
  for (int64_t i = 0; i < filter->size; i++) {
    if (filter->scores[i] < filter->limit) continue;
    pv_best_offer(best, pv_exact_cosine(index, kernels, query, filter->rows[i]), filter->rows[i]);
  }
  pv_best_finish(best);
  return best->size;
}

static void scan_floats(const pv_index* index, const pv_search_kernels* kernels, const float* query,
                        int64_t begin, int64_t end, pv_best* best) {
  float scores[PV_ROW_BLOCK];
  for (int64_t row = begin; row < end; row += PV_ROW_BLOCK) {
    const int32_t rows = (int32_t)(end - row < PV_ROW_BLOCK ? end - row : PV_ROW_BLOCK);
    if (index->dtype == PV_FLOAT32) {
      kernels->scan_f32(query, pv_rows_f32(index, row), index->dim, rows, scores);
    } else {
      kernels->scan_f16(query, pv_rows_f16(index, row), index->dim, rows, scores);
    }
    for (int32_t r = 0; r < rows; r++) pv_best_offer(best, scores[r], (int32_t)(row + r));
  }
}

static int scan_int8(const pv_index* index, const pv_search_kernels* kernels, const int8_t* query, float scale,
                     int64_t begin, int64_t end, pv_filter* filter) {
  const float margin = pv_refinement_margin(query, index->dim, scale);
  int32_t sums[PV_ROW_BLOCK];
  for (int64_t row = begin; row < end; row += PV_ROW_BLOCK) {
    const int32_t rows = (int32_t)(end - row < PV_ROW_BLOCK ? end - row : PV_ROW_BLOCK);
    kernels->scan_i8(query, pv_rows_i8(index, row), index->dim, rows, sums);
    for (int32_t r = 0; r < rows; r++) {
      const float most = ((float)sums[r] * scale + margin) * index->scales[row + r];
      if (!(most >= filter->limit)) continue;
      const float least = most - 2 * margin * index->scales[row + r];
      if (pv_filter_keep(filter, most, least, (int32_t)(row + r))) return PV_SEARCH_MEMORY;
    }
  }
  return PV_SEARCH_OK;
}

static int search_int8(const pv_index* index, const pv_search_kernels* kernels, const float* query, int k,
                       int64_t begin, int64_t end, int32_t* rows, float* cosines) {
  int8_t* values = malloc((size_t)index->dim);
  if (!values) return PV_SEARCH_MEMORY;
  float error;
  const float scale = pv_quantize_query(query, index->dim, values, &error);
  pv_filter filter;
  pv_filter_init(&filter, k, 2 * error, cosines, rows);
  int found = scan_int8(index, kernels, values, scale, begin, end, &filter);
  if (found == PV_SEARCH_OK) found = pv_filter_finish(&filter, index, kernels, query);
  pv_filter_free(&filter);
  free(values);
  return found;
}

int pv_search(const pv_index* index, const float* query, int k, int64_t begin, int64_t end, int32_t* rows,
              float* cosines) {
  if (!pv_range_fits(index, k, begin, end)) return PV_SEARCH_ARGUMENT;
  const pv_search_kernels* kernels = pv_search_active();
  int found;
  if (index->dtype == PV_INT8) {
    found = search_int8(index, kernels, query, k, begin, end, rows, cosines);
  } else {
    pv_best best = {cosines, rows, 0, k};
    scan_floats(index, kernels, query, begin, end, &best);
    pv_best_finish(&best);
    found = best.size;
  }
  if (found >= 0) pv_fill_rest(found, k, rows, cosines);
  return found;
}
