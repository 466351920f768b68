/* Cosine search over the rows of an index.
 *
 *   cosine[q, r] = sum_i query[q, i] * vector[r, i]        (unit rows; int8: (value + (residual - 1.5) / 4) * scale[r])
 *
 * `k` best of rows [begin, end), best first, lower row first among equals: rows int32 [k], cosines float32 [k] a
 * query. Places left over, where there are fewer rows, hold row -1 and cosine -infinity. There are no threads here:
 * callers give each a range of rows and merge. Functions return a negative error or what is said. */
#ifndef POCKETVLAD_SEARCH_H
#define POCKETVLAD_SEARCH_H

#include "pvix.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { PV_SEARCH_OK = 0, PV_SEARCH_ARGUMENT = -1, PV_SEARCH_MEMORY = -2 };

/* One query float32 [dim]: exact. Returns how many were found, at most k.
 * int8 rows are scanned in integers, the query in int8 and the residuals left out. Every row whose rough cosine comes
 * within what both may amount to of the best k is scored again, refined by its residuals and with the float32 query;
 * the result is that of scoring every row so, but for residuals that side with the query by over 8 standard
 * deviations. */
int pv_search(const pv_index* index, const float* query, int k, int64_t begin, int64_t end, int32_t* rows,
              float* cosines);

/* `count` queries float32 [count, dim] -> rows and cosines [count, k]: the results of pv_search, query by query,
 * with the vectors read once for all queries. Returns 0. */
int pv_search_batch(const pv_index* index, const float* queries, int64_t count, int k, int64_t begin, int64_t end,
                    int32_t* rows, float* cosines);

/* The 1-bit first pass. `signs` holds the sign bits of every row of the index, uint64 [n, pv_sign_words(dim)]: value
 * i is bit i % 64 of word i / 64, set for negative values, bits past dim clear. */
size_t pv_sign_words(int32_t dim);
/* Fills rows [begin, end) of `signs`. Returns 0. */
int pv_signs(const pv_index* index, int64_t begin, int64_t end, uint64_t* signs);
/* The `candidates` rows whose signs agree best with the query's, at least k of them, scored as pv_search does: the
 * cosines are exact, but a row whose signs mislead is missed. Returns how many were found. */
int pv_search_signs(const pv_index* index, const uint64_t* signs, const float* query, int k, int candidates,
                    int64_t begin, int64_t end, int32_t* rows, float* cosines);

#ifdef __cplusplus
}
#endif
#endif
