/* libFuzzer target: any bytes are refused by a rule, or are an index that can be read and searched without reading
 * past it. */
#include <stdlib.h>
#include <string.h>

#include "lut/lut.h"
#include "search/search.h"

enum { TOP = 3, QUERIES = 5 };

static void search(const pv_index* index) {
  const size_t dim = (size_t)index->dim, words = pv_sign_words(index->dim);
  float *queries = malloc(QUERIES * dim * 4), cosines[QUERIES * TOP];
  uint64_t* signs = malloc((size_t)index->count * words * 8);
  int32_t rows[QUERIES * TOP];
  for (size_t i = 0; i < QUERIES * dim; i++) queries[i] = (float)(i * 37 % 19) - 9;
  if (pv_signs(index, 0, index->count, signs)) abort();
  for (int i = 0; pv_isa_name(i); i++) {
    if (pv_force_isa(pv_isa_name(i))) continue;
    if (pv_search_batch(index, queries, QUERIES, TOP, 0, index->count, rows, cosines)) abort();
    for (int j = 0; j < QUERIES * TOP; j++)
      if (rows[j] < -1 || rows[j] >= index->count || cosines[j] != cosines[j]) abort();
    if (pv_search(index, queries, TOP, index->count / 2, index->count, rows, cosines) < 0) abort();
    if (pv_search_signs(index, signs, queries, TOP, 2 * TOP, 0, index->count, rows, cosines) < 0) abort();
  }
  free(queries);
  free(signs);
}

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  uint8_t* exact = malloc(size ? size : 1);
  memcpy(exact, data, size);
  if (size >= PV_PVIX_HEADER) { /* rules 1 and 2 would stop nearly every input */
    const uint64_t length = size;
    memcpy(exact, "PVIX0002\x88\0\0\0", 12);
    memcpy(exact + 128, &length, 8);
  }
  pv_index index;
  if (pv_index_open(exact, size, &index) == 0) {
    unsigned sum = 0;
    for (int64_t row = 0; row < index.count; row++) {
      pv_record r;
      pv_index_record(&index, row, &r);
      for (uint32_t i = 0; i < r.name_bytes; i++) sum += (unsigned char)r.name[i];
      for (uint32_t i = 0; i < r.label_bytes; i++) sum += (unsigned char)r.label[i];
      for (uint32_t i = 0; i < r.thumbnail_bytes; i++) sum += r.thumbnail[i];
    }
    if (sum == 1) abort(); /* impossible: names are clean text; keeps the reads */
    search(&index);
  }
  free(exact);
  return 0;
}
