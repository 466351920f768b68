/* The 1-bit first pass: rows by how many signs they share with the query. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "scan.h"

size_t pv_sign_words(int32_t dim) { return ((size_t)dim + 63) / 64; }

static int is_negative(const pv_index* index, const uint8_t* vector, int32_t i) {
  static const int value_bytes[] = {4, 2, 1};
  const int bytes = value_bytes[index->dtype]; /* the sign is the top bit of a value's last byte */
  return vector[(int64_t)i * bytes + bytes - 1] >> 7;
}

int pv_signs(const pv_index* index, int64_t begin, int64_t end, uint64_t* signs) {
  if (!pv_range_fits(index, 1, begin, end)) return PV_SEARCH_ARGUMENT;
  static const int64_t value_bytes[] = {4, 2, 1};
  const int64_t row_bytes = index->dim * value_bytes[index->dtype];
  const size_t words = pv_sign_words(index->dim);
  for (int64_t row = begin; row < end; row++) {
    const uint8_t* vector = index->vectors + row * row_bytes;
    uint64_t* out = signs + (size_t)row * words;
    memset(out, 0, words * sizeof *out);
    for (int32_t i = 0; i < index->dim; i++) out[i / 64] |= (uint64_t)is_negative(index, vector, i) << (i % 64);
  }
  return PV_SEARCH_OK;
}

static void nearest_by_signs(const pv_search_kernels* kernels, const uint64_t* signs, const uint64_t* query,
                             int32_t words, int64_t begin, int64_t end, pv_best* nearest) {
  int32_t distances[PV_ROW_BLOCK];
  for (int64_t row = begin; row < end; row += PV_ROW_BLOCK) {
    const int32_t rows = (int32_t)(end - row < PV_ROW_BLOCK ? end - row : PV_ROW_BLOCK);
    kernels->scan_bits(query, signs + row * words, words, rows, distances);
    for (int32_t r = 0; r < rows; r++) pv_best_offer(nearest, -(float)distances[r], (int32_t)(row + r));
  }
}

int pv_search_signs(const pv_index* index, const uint64_t* signs, const float* query, int k, int candidates,
                    int64_t begin, int64_t end, int32_t* rows, float* cosines) {
  if (!pv_range_fits(index, k, begin, end) || candidates < k) return PV_SEARCH_ARGUMENT;
  const pv_search_kernels* kernels = pv_search_active();
  const int32_t words = (int32_t)pv_sign_words(index->dim);
  uint64_t* bits = calloc((size_t)words, sizeof *bits);
  float* scores = malloc((size_t)candidates * sizeof *scores);
  int32_t* found = malloc((size_t)candidates * sizeof *found);
  pv_best best = {cosines, rows, 0, k}, nearest = {scores, found, 0, candidates};
  const int ready = bits && scores && found;
  if (ready) {
    for (int32_t i = 0; i < index->dim; i++) bits[i / 64] |= (uint64_t)(signbit(query[i]) != 0) << (i % 64);
    nearest_by_signs(kernels, signs, bits, words, begin, end, &nearest);
    for (int i = 0; i < nearest.size; i++) {
      pv_best_offer(&best, pv_exact_cosine(index, kernels, query, found[i]), found[i]);
    }
    pv_best_finish(&best);
    pv_fill_rest(best.size, k, rows, cosines);
  }
  free(bits);
  free(scores);
  free(found);
  return ready ? best.size : PV_SEARCH_MEMORY;
}
