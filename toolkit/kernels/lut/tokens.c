/* pv_lut_linear of many activation rows (tokens). Codes are decoded once, into a copy of a tile's output rows that lies as
 * the pixels of a convolution do; it meets panels of PV_TILE_ROWS tokens, which lie as the weights of one. So a token's
 * outputs are side by side in the sums as in the result. */
#include "tokens.h"

static size_t padded(const pv_lut* lut) { return pv_blocks((size_t)lut->cols) * PV_BLOCK; }

/* Output rows of a tile, and the bytes from step to step in its copy: whole groups of PV_TILE_ROWS are turned. */
static int32_t tile_outputs(void) { return pv_active()->lanes * pv_active()->max_vectors; }

static size_t tile_pitch(void) { return 4 * pv_round_up((size_t)tile_outputs(), PV_TILE_ROWS); }

static size_t panel_count(int64_t batch) { return ((size_t)batch + PV_TILE_ROWS - 1) / PV_TILE_ROWS; }

static size_t panel_bytes(const pv_lut* lut) { return PV_TILE_ROWS * padded(lut); }

int pv_tokens_are(const pv_lut* lut, int64_t batch, int fast) {
  const double words = (double)batch * (double)padded(lut) / 4;
  return fast && lut->layout == PV_DENSE && batch >= PV_TOKENS && words < 2e9;
}

/* Panels; offsets of steps; the panels' sums. */
size_t pv_tokens_bytes(const pv_lut* lut, int64_t batch) {
  const size_t panels = panel_count(batch);
  return PV_LINE + panels * (panel_bytes(lut) + PV_TILE_ROWS * sizeof(int32_t)) + padded(lut) / 4 * sizeof(int32_t);
}

/* Sums of a tile; decoded rows; the copy. */
size_t pv_tokens_worker_bytes(const pv_lut* lut) {
  return PV_LINE + PV_TILE_ROWS * PV_TILE_PIXELS * sizeof(int32_t) + panel_bytes(lut) + padded(lut) / 4 * tile_pitch();
}

typedef struct token_view {
  uint8_t* panels;  /* [panels, stride / 4, PV_TILE_ROWS, 4] */
  int32_t* offsets; /* [stride / 4] */
  int32_t* sums;    /* [panels, PV_TILE_ROWS] */
} token_view;

static token_view view(const pv_lut* lut, int64_t batch, const void* tokens) {
  token_view v;
  v.panels = pv_align(tokens);
  v.offsets = (int32_t*)(void*)(v.panels + panel_count(batch) * panel_bytes(lut));
  v.sums = v.offsets + padded(lut) / 4;
  return v;
}

void pv_tokens_prepare(const pv_lut* lut, int64_t batch, const int8_t* x8, void* tokens) {
  const pv_kernels* k = pv_active();
  const token_view v = view(lut, batch, tokens);
  const size_t stride = padded(lut), words = stride / 4;
  for (size_t d = 0; d < words; d++) v.offsets[d] = (int32_t)(d * tile_pitch() / 4);
  for (size_t i = 0; i < panel_count(batch); i++) {
    const int8_t* rows[PV_TILE_ROWS]; /* past the last one it stands again */
    for (size_t r = 0; r < PV_TILE_ROWS; r++) {
      const size_t n = PV_TILE_ROWS * i + r;
      rows[r] = x8 + stride * (n < (size_t)batch ? n : (size_t)batch - 1);
    }
    uint8_t* panel = v.panels + i * panel_bytes(lut);
    k->turn(rows, 1, (int32_t)words, panel, 4 * PV_TILE_ROWS);
    k->panel_sums(panel, (int32_t)words, v.sums + PV_TILE_ROWS * i);
  }
}

typedef struct token_task {
  const pv_lut* lut;
  const pv_kernels* kernels;
  uint8_t table[256]; /* int8 centroids plus the kernels' offset */
  float level_scale;
  int32_t* acc;
  uint8_t *decoded, *copy;
  float scale[PV_TILE_PIXELS], bias[PV_TILE_PIXELS];
} token_task;

/* The copy of output rows [row, row + count), what their sums are worth, and their biases. */
static void fill_copy(token_task* t, int32_t row, int32_t count) {
  const pv_lut* lut = t->lut;
  const size_t stride = padded(lut), packed = stride / PV_BLOCK * 16 * (size_t)lut->bits;
  const int8_t* rows[PV_TILE_ROWS];
  for (int32_t first = 0; first < count; first += PV_TILE_ROWS) {
    const int32_t live = pv_min(PV_TILE_ROWS, count - first);
    const uint8_t* from = lut->packed + (size_t)(row + first) * packed;
    t->kernels->decode(from, (size_t)live * stride / PV_BLOCK, lut->bits, t->table, t->decoded);
    for (int32_t r = 0; r < PV_TILE_ROWS; r++) rows[r] = (const int8_t*)t->decoded + (size_t)(r < live ? r : 0) * stride;
    t->kernels->turn(rows, 1, (int32_t)(stride / 4), t->copy + 4 * first, tile_pitch());
  }
  for (int32_t r = 0; r < count; r++) {
    t->scale[r] = t->level_scale * (lut->row_scale ? lut->row_scale[row + r] : 1);
    t->bias[r] = lut->bias ? lut->bias[row + r] : 0;
  }
}

/* Those rows of all tokens. */
static void multiply(const token_task* t, const token_view* v, const float* scale, int64_t batch, int32_t row, int32_t count,
                     float* y) {
  const pv_kernels* k = t->kernels;
  const size_t panel = panel_bytes(t->lut), pitch = (size_t)t->lut->rows;
  pv_gemm gemm = {.x = t->copy, .offsets = v->offsets, .steps = (int32_t)(padded(t->lut) / 4),
                  .vectors = (count + k->lanes - 1) / k->lanes, .rows = PV_TILE_ROWS, .acc = t->acc};
  pv_token_finish finish = {.scale = t->scale, .bias = t->bias, .outputs = count, .offset = k->offset,
                            .activation = t->lut->activation, .pitch = pitch};
  for (int64_t n = 0; n < batch; n += PV_TILE_ROWS) {
    gemm.panel = v->panels + (size_t)(n / PV_TILE_ROWS) * panel;
    finish.token = scale + n;
    finish.sums = v->sums + n;
    finish.tokens = (int32_t)(batch - n < PV_TILE_ROWS ? batch - n : PV_TILE_ROWS);
    finish.y = y + (size_t)n * pitch + (size_t)row;
    k->token_tile(&gemm, &finish);
  }
}

void pv_tokens_rows(const pv_lut* lut, const pv_levels* levels, const float* scale, int64_t batch, const void* tokens,
                    void* worker, float* y, int32_t begin, int32_t end) {
  const token_view v = view(lut, batch, tokens);
  token_task t = {.lut = lut, .kernels = pv_active(), .level_scale = levels->scale};
  for (int i = 0; i < 256; i++) t.table[i] = (uint8_t)((uint8_t)levels->level[i] ^ t.kernels->offset);
  t.acc = (int32_t*)(void*)pv_align(worker);
  t.copy = (uint8_t*)(t.acc + PV_TILE_ROWS * PV_TILE_PIXELS);
  t.decoded = t.copy + padded(lut) / 4 * tile_pitch();
  for (int32_t row = begin, stop; row < end; row = stop) {
    stop = pv_min(row + tile_outputs(), end);
    fill_copy(&t, row, stop - row);
    multiply(&t, &v, scale, batch, row, stop - row, y);
  }
}
