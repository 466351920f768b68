/* The weights of PV_TILE_ROWS output channels as the matrix products read them: [depth, taps, row, 4 channels]. */
#include "conv.h"

enum { PV_WIDE = 16 }; /* taps or channels turned at once */

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef uint16_t shorts8 __attribute__((vector_size(16)));
typedef uint32_t words4 __attribute__((vector_size(16)));

size_t pv_panel_bytes(const pv_geometry* g) { return (size_t)g->steps * PV_TILE_ROWS * 4; }

/* A decoded row, its first weight up to PV_BLOCK elements in, with the zeros that padded channels read. */
static size_t row_elements(const pv_lut* lut, const pv_geometry* g) {
  return pv_round_up((size_t)lut->cols + 2 * PV_BLOCK + 3 * (size_t)g->taps + 2 * PV_WIDE, PV_LINE);
}

size_t pv_decoded_bytes(const pv_lut* lut, const pv_geometry* g) {
  return row_elements(lut, g) * (g->floats ? sizeof(float) : PV_TILE_ROWS);
}

PV_INLINE words4 load16(const int8_t* from) {
  words4 value;
  memcpy(&value, from, sizeof value);
  return value;
}

/* Taps [t, t + 16) of four channels that lie `taps` apart: quads[i] holds those of taps t + 4 i .. t + 4 i + 3. */
PV_INLINE void load_quads(const int8_t* channels, size_t taps, words4 quads[4]) {
  bytes16 c[4];
  PV_UNROLL
  for (int i = 0; i < 4; i++) c[i] = (bytes16)load16(channels + (size_t)i * taps);
  PV_UNROLL
  for (int half = 0; half < 2; half++) {
    shorts8 pair[2];
    PV_UNROLL
    for (int i = 0; i < 2; i++)
      pair[i] = (shorts8)(half ? PV_SHUFFLE(bytes16, c[2 * i], c[2 * i + 1], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13,
                                            29, 14, 30, 15, 31)
                               : PV_SHUFFLE(bytes16, c[2 * i], c[2 * i + 1], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21,
                                            6, 22, 7, 23));
    quads[2 * half] = (words4)PV_SHUFFLE(shorts8, pair[0], pair[1], 0, 8, 1, 9, 2, 10, 3, 11);
    quads[2 * half + 1] = (words4)PV_SHUFFLE(shorts8, pair[0], pair[1], 4, 12, 5, 13, 6, 14, 7, 15);
  }
}

/* Four rows of four quads -> quad i of the rows at panel + i * pitch, for the first `count` of them. */
PV_INLINE void store_quads(const words4 row[4], size_t count, uint8_t* panel, size_t pitch) {
  const words4 low01 = PV_SHUFFLE(words4, row[0], row[1], 0, 4, 1, 5), low23 = PV_SHUFFLE(words4, row[2], row[3], 0, 4, 1, 5);
  const words4 high01 = PV_SHUFFLE(words4, row[0], row[1], 2, 6, 3, 7);
  const words4 high23 = PV_SHUFFLE(words4, row[2], row[3], 2, 6, 3, 7);
  const words4 quad[4] = {
      PV_SHUFFLE(words4, low01, low23, 0, 1, 4, 5), PV_SHUFFLE(words4, low01, low23, 2, 3, 6, 7),
      PV_SHUFFLE(words4, high01, high23, 0, 1, 4, 5), PV_SHUFFLE(words4, high01, high23, 2, 3, 6, 7)};
  for (size_t i = 0; i < count && i < 4; i++) memcpy(panel + pitch * i, &quad[i], sizeof quad[i]);
}

/* Columns `half`, a half of the panel, of four rows [channels, taps]. */
static void turn_rows(size_t taps, size_t depth, const int8_t* const rows[4], uint8_t* half, size_t pitch) {
  if (taps == 1) { /* a row is its quads */
    for (size_t d = 0; d < depth; d += 4) {
      words4 quads[4];
      for (int r = 0; r < 4; r++) quads[r] = load16(rows[r] + 4 * d);
      store_quads(quads, depth - d, half + pitch * d, pitch);
    }
    return;
  }
  for (size_t d = 0; d < depth; d++)
    for (size_t t = 0; t < taps; t += PV_WIDE) {
      words4 quads[4][4], turned[4];
      for (int r = 0; r < 4; r++) load_quads(rows[r] + 4 * d * taps + t, taps, quads[r]);
      for (size_t i = 0; t + 4 * i < taps && i < 4; i++) {
        for (int r = 0; r < 4; r++) turned[r] = quads[r][i];
        store_quads(turned, taps - t - 4 * i, half + pitch * (d * taps + t + 4 * i), pitch);
      }
    }
}

void pv_turn(const int8_t* const rows[PV_TILE_ROWS], int32_t taps, int32_t depth, uint8_t* panel, size_t pitch) {
  turn_rows((size_t)taps, (size_t)depth, rows, panel, pitch);
  turn_rows((size_t)taps, (size_t)depth, rows + 4, panel + 16, pitch);
}

/* Row `row` of the layer as column `r` of a panel of float32: plain weights, or int8 ones in float lanes. */
static int fill_floats(pv_panels* p, int32_t row, int r, float* panel) {
  const pv_lut* lut = p->lut;
  const size_t cols = (size_t)lut->cols, first = (size_t)row * cols;
  const float* codebook = lut->codebook + ((size_t)p->group << lut->bits);
  const int at = p->fast ? pv_flat_decode(&p->flat, first, cols, (const uint8_t*)p->levels.level, p->decoded)
                         : pv_flat_decode_f32(&p->flat, first, cols, codebook, (float*)p->decoded);
  if (at < 0) return at;
  const int8_t* w8 = (const int8_t*)p->decoded + at;
  const float* w = (const float*)p->decoded + at;
  for (size_t i = 0; i < cols; i++) panel[i * PV_TILE_ROWS + (size_t)r] = p->fast ? w8[i] : w[i];
  return PV_OK;
}

static void use_group(pv_panels* p, int32_t group) {
  if (group != p->group) pv_quantize_codebook(p->lut, group, &p->levels);
  p->group = group;
}

/* Row `row` of the layer, int8, with zeros behind it. */
static int decode_row(pv_panels* p, int32_t row, uint8_t* decoded, const int8_t** weights) {
  const size_t cols = (size_t)p->lut->cols;
  const int at = pv_flat_decode(&p->flat, (size_t)row * cols, cols, (const uint8_t*)p->levels.level, decoded);
  if (at < 0) return at;
  memset(decoded + (size_t)at + cols, 0, 3 * (size_t)p->geometry->taps + PV_WIDE);
  *weights = (const int8_t*)decoded + at;
  return PV_OK;
}

/* Rows [row, row + rows), int8: at once where whole quads follow each other and one codebook is theirs. */
static int decode_rows(pv_panels* p, int32_t row, int32_t rows, const int8_t* weights[PV_TILE_ROWS]) {
  const size_t cols = (size_t)p->lut->cols, stride = row_elements(p->lut, p->geometry);
  const int32_t group = row / pv_rows_per_group(p->lut), last = (row + rows - 1) / pv_rows_per_group(p->lut);
  if (group == last && cols == 4 * (size_t)p->geometry->steps) {
    use_group(p, group);
    const uint8_t* table = (const uint8_t*)p->levels.level;
    const int at = pv_flat_decode(&p->flat, (size_t)row * cols, (size_t)rows * cols, table, p->decoded);
    for (int r = 0; r < rows && at >= 0; r++) weights[r] = (const int8_t*)p->decoded + at + (size_t)r * cols;
    return at < 0 ? at : PV_OK;
  }
  for (int r = 0; r < rows; r++) {
    use_group(p, (row + r) / pv_rows_per_group(p->lut));
    const int error = decode_row(p, row + r, p->decoded + (size_t)r * stride, &weights[r]);
    if (error) return error;
  }
  return PV_OK;
}

static int fill_i8(pv_panels* p, int32_t row, int32_t rows, uint8_t* panel, pv_finish* finish) {
  const pv_geometry* g = p->geometry;
  const pv_kernels* k = pv_active();
  const size_t stride = row_elements(p->lut, g);
  const int8_t* weights[PV_TILE_ROWS];
  int32_t sums[PV_TILE_ROWS];
  const int error = decode_rows(p, row, rows, weights);
  if (error) return error;
  for (int r = rows; r < PV_TILE_ROWS; r++) {
    weights[r] = (const int8_t*)p->decoded + (size_t)r * stride;
    memset(p->decoded + (size_t)r * stride, 0, stride);
  }
  k->turn(weights, g->taps, g->depth, panel, 4 * PV_TILE_ROWS);
  k->panel_sums(panel, g->steps, sums);
  for (int r = 0; r < rows; r++) finish[r].zero = (p->grid->zero + k->offset) * sums[r];
  return PV_OK;
}

int pv_fill_panel(pv_panels* p, int32_t row, int32_t rows, uint8_t* panel, pv_finish finish[PV_TILE_ROWS]) {
  const pv_lut* lut = p->lut;
  const pv_geometry* g = p->geometry;
  if (g->floats && rows < PV_TILE_ROWS) memset(panel, 0, pv_panel_bytes(g));
  for (int r = 0; r < rows; r++) {
    use_group(p, (row + r) / pv_rows_per_group(lut));
    const float row_scale = lut->row_scale ? lut->row_scale[row + r] : 1;
    finish[r] = (pv_finish){row_scale, lut->bias ? lut->bias[row + r] : 0, 0, lut->activation};
    if (p->fast) finish[r].scale = p->grid->scale * (p->levels.scale * row_scale);
    const int error = g->floats ? fill_floats(p, row + r, r, (float*)panel) : PV_OK;
    if (error) return error;
  }
  return g->floats ? PV_OK : fill_i8(p, row, rows, panel, finish);
}
