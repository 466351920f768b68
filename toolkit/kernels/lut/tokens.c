/* pv_lut_linear of many activation rows (tokens): codes are decoded once into panels of PV_TILE_ROWS output rows, as many as
 * fit the cache, which meet the tokens as the panels of a convolution meet its pixels. */
#include "tokens.h"

enum { PV_TOKEN_PANELS = 8, PV_TOKEN_PANELS_BYTES = 96 << 10 };

static size_t padded(const pv_lut* lut) { return pv_blocks((size_t)lut->cols) * PV_BLOCK; }

static size_t panel_bytes(const pv_lut* lut) { return PV_TILE_ROWS * padded(lut); }

static int32_t panel_count(const pv_lut* lut) {
  const size_t fit = PV_TOKEN_PANELS_BYTES / panel_bytes(lut);
  const int32_t wanted = (lut->rows + PV_TILE_ROWS - 1) / PV_TILE_ROWS;
  return pv_min(pv_min(wanted, PV_TOKEN_PANELS), fit ? (int32_t)fit : 1);
}

int pv_tokens_are(const pv_lut* lut, int64_t batch, int fast) {
  const double words = (double)batch * (double)padded(lut) / 4;
  return fast && lut->layout == PV_DENSE && batch >= PV_TOKENS && words < 2e9; /* offsets are int32 */
}

/* Tokens of a tile, and of the copy that it reads: whole groups of PV_TILE_ROWS are turned. */
static int32_t tile_tokens(void) { return pv_active()->lanes * pv_active()->max_vectors; }

static size_t tile_pitch(void) { return 4 * pv_round_up((size_t)tile_tokens(), PV_TILE_ROWS); }

size_t pv_tokens_bytes(const pv_lut* lut, int64_t batch) {
  const size_t tiles = ((size_t)batch + (size_t)tile_tokens() - 1) / (size_t)tile_tokens(), words = padded(lut) / 4;
  return PV_LINE + words * (tiles * tile_pitch() + sizeof(int32_t));
}

/* Offsets of steps; sums of a tile; decoded rows; panels. */
size_t pv_tokens_worker_bytes(const pv_lut* lut) {
  return PV_LINE + PV_TILE_ROWS * PV_TILE_PIXELS * sizeof(int32_t) + panel_bytes(lut) +
         (size_t)panel_count(lut) * panel_bytes(lut);
}

/* int8 [batch, stride] -> tiles [stride / 4, tokens, 4], stored plus the kernels' offset, as x8 is afterwards. */
void pv_tokens_prepare(const pv_lut* lut, int64_t batch, int8_t* x8, void* tokens) {
  const pv_kernels* k = pv_active();
  const size_t stride = padded(lut), words = stride / 4, pitch = tile_pitch(), count = (size_t)batch * stride;
  const uint8_t offset = k->offset;
  const int32_t tile = tile_tokens();
  int32_t* offsets = (int32_t*)(void*)pv_align(tokens);
  uint8_t* to = (uint8_t*)(offsets + words);
  for (size_t d = 0; d < words; d++) offsets[d] = (int32_t)(d * pitch / 4);
  for (size_t i = 0; i < count; i++) x8[i] = (int8_t)((uint8_t)x8[i] ^ offset);
  for (int64_t first = 0; first < batch; first += tile, to += words * pitch)
    for (int32_t at = 0; at < tile; at += PV_TILE_ROWS) {
      const int8_t* rows[PV_TILE_ROWS]; /* past the last one it stands again */
      for (int64_t r = 0, n = first + at; r < PV_TILE_ROWS; r++, n++) rows[r] = x8 + stride * (size_t)(n < batch ? n : batch - 1);
      k->turn(rows, 1, (int32_t)words, to + 4 * at, pitch);
    }
}

typedef struct token_task {
  const pv_lut* lut;
  const pv_levels* levels;
  const float* scale; /* [batch] */
  const int32_t* offsets;
  const uint8_t* tiles;
  int32_t* acc;
  uint8_t *decoded, *panels;
  pv_finish finish[PV_TOKEN_PANELS * PV_TILE_ROWS];
} token_task;

/* Panels of rows [row, stop); rows the last one lacks are zero. */
static void fill_panels(token_task* t, int32_t row, int32_t stop) {
  const pv_lut* lut = t->lut;
  const pv_kernels* k = pv_active();
  const size_t stride = padded(lut), packed = stride / PV_BLOCK * 16 * (size_t)lut->bits;
  const int8_t* weights[PV_TILE_ROWS];
  int32_t sums[PV_TILE_ROWS];
  for (int r = 0; r < PV_TILE_ROWS; r++) weights[r] = (const int8_t*)t->decoded + (size_t)r * stride;
  for (int32_t first = row; first < stop; first += PV_TILE_ROWS) {
    const int32_t rows = pv_min(PV_TILE_ROWS, stop - first), blocks = (int32_t)(stride / PV_BLOCK);
    memset(t->decoded + (size_t)rows * stride, 0, (size_t)(PV_TILE_ROWS - rows) * stride);
    for (int32_t r = 0; r < rows; r++) {
      const uint8_t* from = lut->packed + (size_t)(first + r) * packed;
      k->decode(from, (size_t)blocks, lut->bits, (const uint8_t*)t->levels->level, t->decoded + (size_t)r * stride);
    }
    uint8_t* panel = t->panels + (size_t)((first - row) / PV_TILE_ROWS) * panel_bytes(lut);
    k->turn(weights, 1, (int32_t)(stride / 4), panel, 4 * PV_TILE_ROWS);
    k->panel_sums(panel, (int32_t)(stride / 4), sums);
    for (int32_t r = 0; r < rows; r++)
      t->finish[first + r - row] = (pv_finish){
          t->levels->scale * (lut->row_scale ? lut->row_scale[first + r] : 1), lut->bias ? lut->bias[first + r] : 0,
          k->offset * sums[r], lut->activation};
  }
}

void pv_tokens_rows(const pv_lut* lut, const pv_levels* levels, const float* scale, int64_t batch, const void* tokens,
                    void* worker, float* y, int32_t begin, int32_t end) {
  const pv_kernels* k = pv_active();
  const size_t words = padded(lut) / 4;
  token_task t = {.lut = lut, .levels = levels, .scale = scale, .offsets = (const int32_t*)(void*)pv_align(tokens)};
  t.tiles = (const uint8_t*)(t.offsets + words);
  t.acc = (int32_t*)(void*)pv_align(worker);
  t.decoded = (uint8_t*)(t.acc + PV_TILE_ROWS * PV_TILE_PIXELS);
  t.panels = t.decoded + panel_bytes(lut);
  const int32_t several = panel_count(lut) * PV_TILE_ROWS, tile = tile_tokens();
  for (int32_t row = begin, stop; row < end; row = stop) {
    stop = pv_min(row + several, end);
    fill_panels(&t, row, stop);
    for (int64_t n = 0; n < batch; n += tile) {
      const int32_t count = (int32_t)(batch - n < tile ? batch - n : tile);
      pv_gemm gemm = {.x = t.tiles + (size_t)(n / tile) * words * tile_pitch(), .offsets = t.offsets, .steps = (int32_t)words,
                      .vectors = (count + k->lanes - 1) / k->lanes, .rows = PV_TILE_ROWS, .acc = t.acc};
      for (int32_t at = row; at < stop; at += PV_TILE_ROWS) {
        gemm.panel = t.panels + (size_t)((at - row) / PV_TILE_ROWS) * panel_bytes(lut);
        k->gemm_i8(&gemm);
        k->finish_tokens(t.acc, count, scale + n, t.finish + (at - row), pv_min(PV_TILE_ROWS, stop - at),
                         y + (size_t)n * (size_t)lut->rows + at, (size_t)lut->rows);
      }
    }
  }
}
