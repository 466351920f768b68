/* Opens an index as the app does and prints what is in it and what a search finds, for a test to compare.
 *   index_driver INDEX QUERIES TOP ISA      QUERIES: float32 [n, dim], "-" for none
 * Exit 0, 77 if this machine lacks ISA, 2 if a rule is broken, 3 if two ways of searching disagree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lut/lut.h"
#include "search/search.h"

static uint8_t* read_file(const char* path, size_t* size) {
  FILE* file = fopen(path, "rb");
  if (!file) exit(1);
  fseek(file, 0, SEEK_END);
  *size = (size_t)ftell(file);
  rewind(file);
  uint8_t* data = malloc(*size ? *size : 1); /* exactly, so that a sanitizer sees a byte too far */
  if (!data || fread(data, 1, *size, file) != *size) exit(1);
  fclose(file);
  return data;
}

static void print_hex(const uint8_t* bytes, uint64_t size) {
  for (uint64_t i = 0; i < size; i++) printf("%02x", bytes[i]);
}

static void print_records(const pv_index* index) {
  for (int64_t row = 0; row < index->count; row++) {
    pv_record r;
    pv_index_record(index, row, &r);
    printf("record\t%.*s\t%.*s\t%.17g\t%.17g\t", (int)r.name_bytes, r.name, (int)r.label_bytes, r.label, r.latitude,
           r.longitude);
    print_hex(r.thumbnail, r.thumbnail_bytes);
    printf("\n");
  }
}

/* One query at a time, all together, in two ranges, and by signs with every row a candidate: the same results. */
static void print_matches(const pv_index* index, const float* queries, int64_t count, int k) {
  const size_t size = (size_t)count * (size_t)k;
  int32_t *rows = malloc(size * 4), *single = malloc((size_t)k * 4);
  float *cosines = malloc(size * 4), *one = malloc((size_t)k * 4);
  uint64_t* signs = malloc((size_t)index->count * pv_sign_words(index->dim) * 8);
  if (pv_search_batch(index, queries, count, k, 0, index->count, rows, cosines) || pv_signs(index, 0, index->count, signs))
    exit(1);
  for (int64_t q = 0; q < count; q++) {
    const float* query = queries + q * index->dim;
    const int found = pv_search(index, query, k, 0, index->count, single, one);
    if (memcmp(single, rows + q * k, (size_t)k * 4) || memcmp(one, cosines + q * k, (size_t)k * 4)) exit(3);
    const int by_signs =
        pv_search_signs(index, signs, query, k, k + (int)index->count, 0, index->count, single, one);
    if (by_signs != found || memcmp(single, rows + q * k, (size_t)k * 4)) exit(3);
    for (int i = 0; i < found; i++) printf("match\t%d\t%d\t%.9g\n", (int)q, rows[q * k + i], (double)cosines[q * k + i]);
  }
  free(rows);
  free(single);
  free(cosines);
  free(one);
  free(signs);
}

int main(int argc, char** argv) {
  if (argc != 5) return 1;
  if (pv_force_isa(argv[4])) return 77;
  size_t size, query_bytes = 0;
  uint8_t* data = read_file(argv[1], &size);
  uint8_t* queries = strcmp(argv[2], "-") ? read_file(argv[2], &query_bytes) : NULL;
  pv_index index;
  const int rule = pv_index_open(data, size, &index);
  if (rule) {
    printf("rule\t%s\n", pv_index_rule(rule));
  } else {
    printf("threshold\t%.9g\ninfo\t%.*s\nfingerprint\t", (double)index.threshold, (int)index.info_bytes, index.info);
    print_hex(index.fingerprint, PV_FINGERPRINT);
    printf("\n");
    print_records(&index);
    if (queries) {
      print_matches(&index, (const float*)(const void*)queries, (int64_t)(query_bytes / 4) / index.dim, atoi(argv[3]));
    }
  }
  free(data);
  free(queries);
  return rule ? 2 : 0;
}
