/* The best matches so far, kept without sorting all rows. Internal.
 *
 * A cosine that is not a number, from a damaged file, is never a match. */
#ifndef POCKETVLAD_SEARCH_BEST_H
#define POCKETVLAD_SEARCH_BEST_H

#include <stdint.h>

/* The `capacity` best (score, row) pairs seen: a heap whose root is the worst of them. Among equal scores the lower
 * row is better. */
typedef struct pv_best {
  float* scores;
  int32_t* rows;
  int size, capacity;
} pv_best;

void pv_best_offer(pv_best* best, float score, int32_t row);
/* Heap -> best first, in place. */
void pv_best_finish(pv_best* best);

/* Rows that may be among the exact best, by rough scores: a row's exact score lies between the `least` and the `most`
 * it is offered with, give or take slack / 2. Kept are those whose most comes within `slack` of the best leasts: then
 * no row of the exact best is lost. */
typedef struct pv_filter {
  pv_best best; /* by `least` */
  float slack, limit;
  float* scores; /* `most` */
  int32_t* rows;
  int64_t size, capacity;
} pv_filter;

/* Starts empty; scores and rows of `best` are the caller's. */
void pv_filter_init(pv_filter* filter, int k, float slack, float* best_scores, int32_t* best_rows);
/* For a `most` of at least filter->limit; 0, or -1 without memory. */
int pv_filter_keep(pv_filter* filter, float most, float least, int32_t row);
void pv_filter_free(pv_filter* filter);

#endif
