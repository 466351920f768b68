/* Attention, of a block of queries at a time: keys by queries, so that a query is a lane in all of it. Sums are chains of
 * fused products in the order of gemm_f32. */
#include "attention.h"

#include <math.h>

#include "kernels.h"

enum { PV_KEYS = PV_TILE_ROWS }; /* of a panel */

static int32_t block_queries(void) { return pv_active()->lanes * pv_active()->max_vectors; }

static size_t panels_of(int32_t count) { return ((size_t)count + PV_KEYS - 1) / PV_KEYS; }

int pv_attention_check(const pv_attention* a) {
  if (a->tokens < 1 || a->heads < 1 || a->dims < PV_TILE_ROWS || a->dims % PV_TILE_ROWS) return PV_ERROR_SHAPE;
  const double values = 3.0 * a->tokens * a->heads * a->dims;
  return values > 5e8 || a->dims > 4096 || a->tokens > 1 << 16 ? PV_ERROR_SHAPE : PV_OK;
}

static int32_t blocks_of(const pv_attention* a) { return (a->tokens + block_queries() - 1) / block_queries(); }

int32_t pv_attention_parts(const pv_attention* a) { return a->heads * blocks_of(a); }

static size_t floats(size_t n) { return pv_round_up(n * sizeof(float), PV_LINE); }

/* A head's keys and values as panels; a block's queries, and what they and the keys make; sums of a tile. */
typedef struct attention_task {
  const pv_attention* a;
  const pv_kernels* kernels;
  float* keys;      /* [panels of tokens, dims, PV_KEYS] */
  float* values;    /* [dims / PV_TILE_ROWS, tokens, PV_TILE_ROWS] */
  float* queries;   /* [dims, PV_TILE_PIXELS] */
  float* weights;   /* [tokens in whole panels, PV_TILE_PIXELS] */
  float* sums;      /* [PV_TILE_ROWS, PV_TILE_PIXELS] */
  int32_t* offsets; /* of rows of PV_TILE_PIXELS */
  float total[PV_TILE_PIXELS], largest[PV_TILE_PIXELS];
} attention_task;

static size_t offset_count(const pv_attention* a) { return (size_t)(a->tokens > a->dims ? a->tokens : a->dims); }

size_t pv_attention_worker_bytes(const pv_attention* a) {
  const size_t dims = (size_t)a->dims, tokens = panels_of(a->tokens) * PV_KEYS;
  return PV_LINE + 2 * floats(tokens * dims) + floats(dims * PV_TILE_PIXELS) + floats(tokens * PV_TILE_PIXELS) +
         floats(PV_TILE_ROWS * PV_TILE_PIXELS) + floats(offset_count(a));
}

static attention_task task_in(const pv_attention* a, void* worker) {
  const size_t dims = (size_t)a->dims, tokens = panels_of(a->tokens) * PV_KEYS;
  attention_task t = {.a = a, .kernels = pv_active()};
  uint8_t* at = pv_align(worker);
  t.keys = (float*)(void*)at;
  t.values = (float*)(void*)(at += floats(tokens * dims));
  t.queries = (float*)(void*)(at += floats(tokens * dims));
  t.weights = (float*)(void*)(at += floats(dims * PV_TILE_PIXELS));
  t.sums = (float*)(void*)(at += floats(tokens * PV_TILE_PIXELS));
  t.offsets = (int32_t*)(void*)(at + floats(PV_TILE_ROWS * PV_TILE_PIXELS));
  for (size_t i = 0; i < offset_count(a); i++) t.offsets[i] = (int32_t)i * PV_TILE_PIXELS;
  return t;
}

/* Eight rows of floats as columns: `rows` from row `first` on of a matrix, the last one again behind it. */
static void turn_rows(const attention_task* t, const float* x, int32_t first, float* columns, size_t pitch) {
  const size_t row = 3 * (size_t)t->a->heads * (size_t)t->a->dims;
  const int8_t* rows[PV_TILE_ROWS];
  for (int32_t r = 0; r < PV_TILE_ROWS; r++)
    rows[r] = (const int8_t*)(const void*)(x + (size_t)pv_min(first + r, t->a->tokens - 1) * row);
  t->kernels->turn(rows, 1, t->a->dims, (uint8_t*)(void*)columns, pitch * sizeof(float));
}

/* Reads of `turn` go up to 64 bytes past a row: behind keys there are values. */
static void use_head(const attention_task* t, const float* x, int32_t head) {
  const size_t dims = (size_t)t->a->dims, plane = (size_t)t->a->heads * dims, tokens = (size_t)t->a->tokens;
  const float *keys = x + plane + (size_t)head * dims, *values = keys + plane;
  for (size_t p = 0; p < panels_of(t->a->tokens); p++)
    turn_rows(t, keys, (int32_t)p * PV_KEYS, t->keys + p * dims * PV_KEYS, PV_KEYS);
  for (size_t d = 0; d < dims; d += PV_TILE_ROWS)
    for (size_t m = 0; m < tokens; m++)
      memcpy(t->values + d * tokens + m * PV_TILE_ROWS, values + m * 3 * plane + d, PV_TILE_ROWS * sizeof(float));
}

static void use_queries(const attention_task* t, const float* x, int32_t head, int32_t first, int32_t width) {
  const float scale = t->a->scale;
  for (int32_t i = 0; i < width; i += PV_TILE_ROWS)
    turn_rows(t, x + (size_t)head * (size_t)t->a->dims, first + i, t->queries + i, PV_TILE_PIXELS);
  for (int32_t d = 0; d < t->a->dims; d++)
    for (int32_t i = 0; i < width; i++) t->queries[d * PV_TILE_PIXELS + i] *= scale;
}

/* weights[m, n] = e^(score - the largest), and their sums over m. */
static void weigh(attention_task* t, pv_gemm gemm) {
  gemm.x = t->queries;
  gemm.steps = t->a->dims;
  for (size_t p = 0; p < panels_of(t->a->tokens); p++) {
    gemm.panel = t->keys + p * (size_t)t->a->dims * PV_KEYS;
    gemm.acc = t->weights + p * PV_KEYS * PV_TILE_PIXELS;
    t->kernels->gemm_f32(&gemm);
  }
  t->kernels->exponentials(t->weights, t->a->tokens, (size_t)(gemm.vectors * t->kernels->lanes), PV_TILE_PIXELS, t->largest,
                           t->total);
}

/* The values of queries [first, first + live), PV_TILE_ROWS of their dims at a time. */
static void mix(const attention_task* t, pv_gemm gemm, int32_t live, float* y) {
  const size_t pitch = (size_t)t->a->heads * (size_t)t->a->dims;
  const int8_t* rows[PV_TILE_ROWS];
  gemm.x = t->weights;
  gemm.steps = t->a->tokens;
  gemm.acc = t->sums;
  for (int32_t r = 0; r < PV_TILE_ROWS; r++) rows[r] = (const int8_t*)(const void*)(t->sums + r * PV_TILE_PIXELS);
  for (int32_t d = 0; d < t->a->dims; d += PV_TILE_ROWS) {
    gemm.panel = t->values + (size_t)d * (size_t)t->a->tokens;
    t->kernels->gemm_f32(&gemm);
    for (int32_t r = 0; r < PV_TILE_ROWS; r++)
      for (int32_t i = 0; i < live; i++) t->sums[r * PV_TILE_PIXELS + i] /= t->total[i];
    t->kernels->turn(rows, 1, live, (uint8_t*)(void*)(y + d), pitch * sizeof(float));
  }
}

int pv_attention_rows(const pv_attention* a, const float* x, void* worker, float* y, int32_t begin, int32_t end) {
  const int error = pv_attention_check(a);
  if (error) return error;
  if (begin < 0 || begin > end || end > pv_attention_parts(a)) return PV_ERROR_RANGE;
  attention_task t = task_in(a, worker);
  const int32_t blocks = blocks_of(a), lanes = t.kernels->lanes;
  for (int32_t part = begin, head = -1; part < end; part++) {
    if (part / blocks != head) use_head(&t, x, head = part / blocks);
    const int32_t first = part % blocks * block_queries(), live = pv_min(block_queries(), a->tokens - first);
    const pv_gemm gemm = {.offsets = t.offsets, .vectors = (live + lanes - 1) / lanes, .rows = PV_TILE_ROWS};
    use_queries(&t, x, head, first, gemm.vectors * lanes);
    weigh(&t, gemm);
    mix(&t, gemm, live, y + ((size_t)first * (size_t)a->heads + (size_t)head) * (size_t)a->dims);
  }
  return PV_OK;
}

int pv_layer_norm(const float* x, int32_t dims, const float* weight, const float* bias, float epsilon, float* y,
                  int64_t begin, int64_t end) {
  if (dims < 1 || dims > PV_MAX_COLS) return PV_ERROR_SHAPE;
  if (begin < 0 || begin > end) return PV_ERROR_RANGE;
  const pv_kernels* k = pv_active();
  const size_t n = (size_t)dims;
  for (int64_t row = begin; row < end; row++)
    k->normalize(x + (size_t)row * n, n, weight, bias, epsilon, y + (size_t)row * n);
  return PV_OK;
}
