#include "best.h"

#include <math.h>
#include <stdlib.h>

static int worse(float score_a, int32_t row_a, float score_b, int32_t row_b) {
  return score_a < score_b || (score_a == score_b && row_a > row_b);
}

static int worse_at(const pv_best* best, int a, int b) {
  return worse(best->scores[a], best->rows[a], best->scores[b], best->rows[b]);
}

static void put(pv_best* best, int at, float score, int32_t row) {
  best->scores[at] = score;
  best->rows[at] = row;
}

static void sink(pv_best* best, int at, float score, int32_t row) {
  for (int child = 2 * at + 1; child < best->size; child = 2 * at + 1) {
    if (child + 1 < best->size && worse_at(best, child + 1, child)) child++;
    if (!worse(best->scores[child], best->rows[child], score, row)) break;
    put(best, at, best->scores[child], best->rows[child]);
    at = child;
  }
  put(best, at, score, row);
}

static void rise(pv_best* best, int at, float score, int32_t row) {
  for (int parent = (at - 1) / 2; at > 0 && worse(score, row, best->scores[parent], best->rows[parent]);
       parent = (at - 1) / 2) {
    put(best, at, best->scores[parent], best->rows[parent]);
    at = parent;
  }
  put(best, at, score, row);
}

void pv_best_offer(pv_best* best, float score, int32_t row) {
  if (isnan(score)) return;
  if (best->size < best->capacity) {
    best->size++;
    rise(best, best->size - 1, score, row);
  } else if (worse(best->scores[0], best->rows[0], score, row)) {
    sink(best, 0, score, row);
  }
}

void pv_best_finish(pv_best* best) {
  const int found = best->size;
  while (best->size > 1) {
    const int last = --best->size;
    const float worst_score = best->scores[0], moved_score = best->scores[last];
    const int32_t worst_row = best->rows[0], moved_row = best->rows[last];
    put(best, last, worst_score, worst_row);
    sink(best, 0, moved_score, moved_row);
  }
  best->size = found;
}

void pv_filter_init(pv_filter* filter, int k, float slack, float* best_scores, int32_t* best_rows) {
  *filter = (pv_filter){{best_scores, best_rows, 0, k}, slack, -INFINITY, NULL, NULL, 0, 0};
}

void pv_filter_free(pv_filter* filter) {
  free(filter->scores);
  free(filter->rows);
}

/* Forget what the rising limit has overtaken; grow if that frees less than half. */
static int make_room(pv_filter* filter) {
  int64_t kept = 0;
  for (int64_t i = 0; i < filter->size; i++) {
    if (filter->scores[i] < filter->limit) continue;
    filter->scores[kept] = filter->scores[i];
    filter->rows[kept++] = filter->rows[i];
  }
  filter->size = kept;
  if (filter->capacity && kept <= filter->capacity / 2) return 0;
  const int64_t capacity = filter->capacity ? 2 * filter->capacity : 256;
  float* scores = realloc(filter->scores, (size_t)capacity * sizeof(float));
  if (scores) filter->scores = scores;
  int32_t* rows = realloc(filter->rows, (size_t)capacity * sizeof(int32_t));
  if (rows) filter->rows = rows;
  if (!scores || !rows) return -1;
  filter->capacity = capacity;
  return 0;
}

int pv_filter_keep(pv_filter* filter, float most, float least, int32_t row) {
  if (filter->size == filter->capacity && make_room(filter)) return -1;
  filter->scores[filter->size] = most;
  filter->rows[filter->size++] = row;
  pv_best_offer(&filter->best, least, row);
  if (filter->best.size == filter->best.capacity) filter->limit = filter->best.scores[0] - filter->slack;
  return 0;
}
