#include "search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

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

/* The best `capacity` (score, row) pairs seen: a heap whose root is the worst of them. */
typedef struct {
  float* scores;
  int32_t* rows;
  int size, capacity;
} Best;

static int worse(float score_a, int32_t row_a, float score_b, int32_t row_b) {
  return score_a < score_b || (score_a == score_b && row_a > row_b);
}

static void sink(Best* best, int at, float score, int32_t row) {
  for (;;) {
    int child = 2 * at + 1;
    if (child >= best->size) break;
    if (child + 1 < best->size && worse(best->scores[child + 1], best->rows[child + 1], best->scores[child],
                                        best->rows[child])) {
      child++;
    }
    if (!worse(best->scores[child], best->rows[child], score, row)) break;
    best->scores[at] = best->scores[child];
    best->rows[at] = best->rows[child];
    at = child;
  }
  best->scores[at] = score;
  best->rows[at] = row;
}

static void offer(Best* best, float score, int32_t row) {
  if (best->size < best->capacity) {
    int at = best->size++;
    while (at > 0 && worse(score, row, best->scores[(at - 1) / 2], best->rows[(at - 1) / 2])) {
      best->scores[at] = best->scores[(at - 1) / 2];
      best->rows[at] = best->rows[(at - 1) / 2];
      at = (at - 1) / 2;
    }
    best->scores[at] = score;
    best->rows[at] = row;
  } else if (worse(best->scores[0], best->rows[0], score, row)) {
    sink(best, 0, score, row);
  }
}

/* Heap -> best first, in place. */
static void finish(Best* best) {
  const int found = best->size;
  while (best->size > 1) {
    const float score = best->scores[0];
    const int32_t row = best->rows[0];
    const int last = --best->size;
    const float moved_score = best->scores[last];
    const int32_t moved_row = best->rows[last];
    best->scores[last] = score;
    best->rows[last] = row;
    sink(best, 0, moved_score, moved_row);
  }
  best->size = found;
}

static void scan_floats(const pv_index* index, const pv_search_kernels* kernels, const float* query,
                        int64_t begin, int64_t end, Best* best) {
  const int32_t dim = index->dim;
  if (index->dtype == PV_FLOAT32) {
    const float* vectors = (const float*)(const void*)index->vectors;
    for (int64_t r = begin; r < end; r++) offer(best, kernels->dot_f32(query, vectors + r * dim, dim), (int32_t)r);
  } else {
    const uint16_t* vectors = (const uint16_t*)(const void*)index->vectors;
    for (int64_t r = begin; r < end; r++) offer(best, kernels->dot_f16(query, vectors + r * dim, dim), (int32_t)r);
  }
}

/* Candidates by int8 products, then the float32 query against their int8 rows. */
static int scan_int8(const pv_index* index, const pv_search_kernels* kernels, const float* query, int64_t begin,
                     int64_t end, Best* best) {
  const int32_t dim = index->dim;
  const int8_t* vectors = (const int8_t*)index->vectors;
  const int capacity = 4 * best->capacity + 32;
  int8_t* quantized = malloc((size_t)dim);
  float* scores = malloc((size_t)capacity * sizeof(float));
  int32_t* rows = malloc((size_t)capacity * sizeof(int32_t));
  const int ready = quantized && scores && rows;
  if (ready) {
    float largest = 0;
    for (int32_t i = 0; i < dim; i++) largest = fmaxf(largest, fabsf(query[i]));
    const float inverse = largest > 0 ? 127 / largest : 0;
    for (int32_t i = 0; i < dim; i++) quantized[i] = (int8_t)lrintf(query[i] * inverse);
    Best candidates = {scores, rows, 0, capacity};
    for (int64_t r = begin; r < end; r++) {
      const int32_t sum = kernels->dot_i8(quantized, vectors + r * dim, dim);
      offer(&candidates, (float)sum * index->scales[r], (int32_t)r);
    }
    for (int i = 0; i < candidates.size; i++) {
      const int64_t r = rows[i];
      offer(best, kernels->dot_f32_i8(query, vectors + r * dim, dim) * index->scales[r], rows[i]);
    }
  }
  free(quantized);
  free(scores);
  free(rows);
  return ready ? PV_SEARCH_OK : PV_SEARCH_MEMORY;
}

int pv_search(const pv_index* index, const float* query, int k, int64_t begin, int64_t end, int32_t* rows,
              float* cosines) {
  if (k < 1 || begin < 0 || begin > end || end > index->count) return PV_SEARCH_ARGUMENT;
  const pv_search_kernels* kernels = pv_search_active();
  Best best = {cosines, rows, 0, k};
  if (index->dtype == PV_INT8) {
    const int status = scan_int8(index, kernels, query, begin, end, &best);
    if (status != PV_SEARCH_OK) return status;
  } else {
    scan_floats(index, kernels, query, begin, end, &best);
  }
  finish(&best);
  return best.size;
}
