/* Steps that the ways of searching share. Internal. */
#ifndef POCKETVLAD_SEARCH_SCAN_H
#define POCKETVLAD_SEARCH_SCAN_H

#include "best.h"
#include "kernels.h"

/* query -> int8 values; the scale that turns them back. `error`: how far this alone puts a unit row's cosine off. */
float pv_quantize_query(const float* query, int32_t dim, int8_t* values, float* error);

/* The cosine of a query with a refined int8 row. */
float pv_refined_cosine(const pv_index* index, const float* query, int64_t row);

/* Times a row's scale: how much its residuals may add to its rough cosine with a quantized query, or take from it. */
float pv_refinement_margin(const int8_t* query, int32_t dim, float scale);

/* The exact cosine of a query with a row, refined if it is int8. */
float pv_exact_cosine(const pv_index* index, const pv_search_kernels* kernels, const float* query, int64_t row);

/* Exact cosines of what passed the filter, best first, into the filter's own arrays; returns how many. */
int pv_filter_finish(pv_filter* filter, const pv_index* index, const pv_search_kernels* kernels, const float* query);

/* Row -1 and cosine -infinity in places found..k. */
void pv_fill_rest(int found, int k, int32_t* rows, float* cosines);

int pv_range_fits(const pv_index* index, int k, int64_t begin, int64_t end);

PV_INLINE const float* pv_rows_f32(const pv_index* index, int64_t row) {
  return (const float*)(const void*)index->vectors + row * index->dim;
}
PV_INLINE const uint16_t* pv_rows_f16(const pv_index* index, int64_t row) {
  return (const uint16_t*)(const void*)index->vectors + row * index->dim;
}
PV_INLINE const int8_t* pv_rows_i8(const pv_index* index, int64_t row) {
  return (const int8_t*)index->vectors + row * index->dim;
}

#endif
