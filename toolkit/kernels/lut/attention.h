/* What stands between the linear layers of a transformer: attention and the norm of tokens, float32. As in lut.h: no
 * threads, no allocation, scratch of any alignment, 0 or a PV_ERROR; the same bits on every instruction set.
 */
#ifndef POCKETVLAD_ATTENTION_H
#define POCKETVLAD_ATTENTION_H

#include "lut.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Self-attention over one sequence: x [tokens, 3, heads, dims], queries, keys and values of a token side by side, ->
 * y [tokens, heads, dims] = softmax_m(sum_d (q[n, d] * scale) * k[m, d]) v[m, d], of each head. `dims` is a multiple of 8. */
typedef struct pv_attention {
  int32_t tokens, heads, dims;
  float scale;
} pv_attention;

int pv_attention_check(const pv_attention* a);
/* Parts that may be computed side by side: blocks of queries, head after head. */
int32_t pv_attention_parts(const pv_attention* a);
size_t pv_attention_worker_bytes(const pv_attention* a);
/* Parts [begin, end) of y. */
int pv_attention_rows(const pv_attention* a, const float* x, void* worker, float* y, int32_t begin, int32_t end);

/* Rows [begin, end) of x [.., dims] with mean 0 and variance 1: (x - mean) / sqrt(variance + epsilon), times `weight` plus
 * `bias` [dims] where they are not NULL. */
int pv_layer_norm(const float* x, int32_t dims, const float* weight, const float* bias, float epsilon, float* y,
                  int64_t begin, int64_t end);

#ifdef __cplusplus
}
#endif
#endif
