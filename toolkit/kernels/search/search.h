/* Exact cosine search over the rows of an index.
 *
 *   cosine[q, r] = sum_i query[q, i] * vector[r, i]        (unit rows)
 *
 * float16 rows are widened, int8 rows are value * scale[r]. For int8 the scan multiplies int8 by an int8 query and
 * keeps candidates; these are scored again with the float32 query, so only the order of near ties depends on it. */
#ifndef POCKETVLAD_SEARCH_H
#define POCKETVLAD_SEARCH_H

#include "pvix.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PV_SEARCH_OK = 0, PV_SEARCH_ARGUMENT = -1, PV_SEARCH_MEMORY = -2 };

/* The best k of rows [begin, end) for one query float32 [dim]: rows int32 [k] and cosines float32 [k], best first,
 * lower row first among equals; returns how many were found (at most k), or a negative error. */
int pv_search(const pv_index* index, const float* query, int k, int64_t begin, int64_t end, int32_t* rows,
              float* cosines);

#ifdef __cplusplus
}
#endif
#endif
