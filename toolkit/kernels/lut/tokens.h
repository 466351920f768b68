/* pv_lut_linear of many activation rows. Internal. */
#ifndef POCKETVLAD_LUT_TOKENS_H
#define POCKETVLAD_LUT_TOKENS_H

#include "kernels.h"

enum { PV_TOKENS = 16 }; /* fewer rows are multiplied as they are: decoding is then most of the work either way */

int pv_tokens_are(const pv_lut* lut, int64_t batch, int fast);
/* Shared scratch beside the int8 rows, and worker scratch. */
size_t pv_tokens_bytes(const pv_lut* lut, int64_t batch);
size_t pv_tokens_worker_bytes(const pv_lut* lut);
/* x8 [batch, padded columns] as what rows read. */
void pv_tokens_prepare(const pv_lut* lut, int64_t batch, const int8_t* x8, void* tokens);
/* Rows [begin, end), which share the levels, of activations of these scales. */
void pv_tokens_rows(const pv_lut* lut, const pv_levels* levels, const float* scale, int64_t batch, const void* tokens,
                    void* worker, float* y, int32_t begin, int32_t end);

#endif
