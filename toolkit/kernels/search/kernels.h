/* What an instruction set supplies to the search, and what the parts of the search share. Internal. */
#ifndef POCKETVLAD_SEARCH_KERNELS_H
#define POCKETVLAD_SEARCH_KERNELS_H

#include <stdint.h>

#include "../lut/kernels.h"
#include "search.h"

enum {
  PV_LANES = 16,    /* queries scored together */
  PV_ROW_BLOCK = 48 /* rows scored between two looks at the scores; their vectors stay in the second cache */
};

/* `count` rows lie one after another, dim values each. */
typedef struct pv_search_kernels {
  const char* name; /* as in lut/kernels.inc */
  /* scores[r] = sum_i query[i] * rows[r, i]; a row's score does not depend on its neighbours */
  void (*scan_f32)(const float* query, const float* rows, int32_t dim, int32_t count, float* scores);
  void (*scan_f16)(const float* query, const uint16_t* rows, int32_t dim, int32_t count, float* scores);
  void (*scan_i8)(const int8_t* query, const int8_t* rows, int32_t dim, int32_t count, int32_t* sums);
  /* distances[r] = set bits of query ^ rows[r], `words` words each */
  void (*scan_bits)(const uint64_t* query, const uint64_t* rows, int32_t words, int32_t count, int32_t* distances);
  /* out[i] = halves[i], n values */
  void (*widen_f16)(const uint16_t* halves, int64_t n, float* out);
  /* scores[r, lane] = sum_i panel[i, lane] * rows[r, i] */
  void (*tile_f32)(const float* panel, const float* rows, int32_t dim, int32_t count, float* scores);
  /* sums[r, lane] = sum_i query[lane, i] * rows[r, i]; panel[i / 4, lane, i % 4] = query + 128, 128 past dim;
   * row_sums[r] = sum_i rows[r, i]. NULL where scan_i8 per query is as fast. */
  void (*tile_i8)(const uint8_t* panel, const int8_t* rows, int32_t dim, int32_t count, const int32_t* row_sums,
                  int32_t* sums);
} pv_search_kernels;

/* The kernels of the instruction set pv_isa() names. */
const pv_search_kernels* pv_search_active(void);

float pv_half_to_float(uint16_t half);

/* scan_* from a function that scores one row. */
#define PV_SCAN(name, one, query_type, row_type, score_type)                                      \
  static void name(const query_type* query, const row_type* rows, int32_t dim, int32_t count,     \
                   score_type* scores) {                                                          \
    for (int32_t r = 0; r < count; r++) scores[r] = one(query, rows + (int64_t)r * dim, dim);     \
  }

#define PV_KERNELS(isa) extern const pv_search_kernels pv_search_kernels_##isa;
#include "../lut/kernels.inc"
#undef PV_KERNELS

#endif
