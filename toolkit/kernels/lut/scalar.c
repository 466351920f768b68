/* The contract: every other kernel computes what these do. Plain loops, nothing vectorised by hand. */
#include <math.h>

#include "kernels.h"

#define PV_COUNT_16(n) n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7, n + 8, n + 9, n + 10, n + 11, n + 12, \
    n + 13, n + 14, n + 15
const uint8_t pv_identity[256] = {
    PV_COUNT_16(0),   PV_COUNT_16(16),  PV_COUNT_16(32),  PV_COUNT_16(48),  PV_COUNT_16(64),  PV_COUNT_16(80),
    PV_COUNT_16(96),  PV_COUNT_16(112), PV_COUNT_16(128), PV_COUNT_16(144), PV_COUNT_16(160), PV_COUNT_16(176),
    PV_COUNT_16(192), PV_COUNT_16(208), PV_COUNT_16(224), PV_COUNT_16(240)};

float pv_scalar_max_abs(const float* x, size_t n) {
  float largest = 0;
  for (size_t i = 0; i < n; i++) {
    const float a = fabsf(x[i]);
    largest = a > largest ? a : largest;
  }
  return largest;
}

PV_INLINE int8_t pv_quantize_one(float x, float inverse) {
  const float q = rintf(x * inverse);
  return (int8_t)(q > 127 ? 127 : q > -127 ? q : -127); /* a NaN becomes -127 */
}

void pv_scalar_quantize(const float* x, size_t n, float inverse, int8_t* q) {
  for (size_t i = 0; i < n; i++) q[i] = pv_quantize_one(x[i], inverse);
}

void pv_scalar_quantize4(const float* const x[4], size_t n, const pv_grid* g, uint8_t offset, uint8_t* dst) {
  for (size_t i = 0; i < n; i++)
    for (int c = 0; c < 4; c++) {
      const float q = x[c] ? rintf(x[c][i] * g->inverse) : 0;
      const float held = q > g->highest ? g->highest : q > g->lowest ? q : g->lowest; /* a NaN becomes the lowest */
      dst[4 * i + (size_t)c] = (uint8_t)((int32_t)held + g->zero + offset);
    }
}

static void scalar_quantize4(const float* const x[4], size_t n, const pv_grid* g, uint8_t* dst) {
  pv_scalar_quantize4(x, n, g, 0, dst);
}

void pv_scalar_decode(const uint8_t* packed, size_t blocks, int bits, const uint8_t table[256], uint8_t* out) {
  for (size_t b = 0; b < blocks; b++, packed += 16 * bits, out += PV_BLOCK)
    for (int i = 0; i < PV_BLOCK; i++) out[i] = table[pv_code(packed, bits, i)];
}

static void scalar_gemv_i8(const pv_dot* d, int32_t* sums) {
  for (int32_t r = 0; r < d->rows; r++)
    for (int32_t n = 0; n < d->batch; n++) {
      const uint8_t* block = d->packed + (size_t)r * d->row_bytes;
      const int8_t* x = d->x8 + (size_t)n * d->x_stride;
      int32_t sum = 0;
      for (int32_t b = 0; b < d->blocks; b++, block += 16 * d->bits, x += PV_BLOCK)
        for (int i = 0; i < PV_BLOCK; i++) sum += d->levels[pv_code(block, d->bits, i)] * x[i];
      sums[r * d->batch + n] = sum;
    }
}

void pv_scalar_gemv_f32(const pv_dot* d, float* sums) {
  for (int32_t r = 0; r < d->rows; r++)
    for (int32_t n = 0; n < d->batch; n++) {
      const uint8_t* block = d->packed + (size_t)r * d->row_bytes;
      const float* x = d->x + (size_t)n * d->x_stride;
      float sum = 0;
      for (int32_t b = 0; b < d->blocks; b++, block += 16 * d->bits, x += PV_BLOCK) {
        float part = 0; /* a sum per block keeps the rounding error near sqrt(n) */
        for (int i = 0; i < PV_BLOCK; i++) part += d->codebook[pv_code(block, d->bits, i)] * x[i];
        sum += part;
      }
      sums[r * d->batch + n] = sum;
    }
}

static void scalar_tile_i8(const pv_tile* t, int32_t sums[PV_TILE]) {
  const int8_t* x = t->x8;
  const uint8_t* block = t->packed;
  const unsigned mask = (1u << t->position_bits) - 1;
  memset(sums, 0, sizeof *sums * PV_TILE);
  for (size_t b = 0; b < t->blocks; b++, block += 16 * t->bits, x += (size_t)8 << t->position_bits)
    for (int i = 0; i < PV_BLOCK; i++) {
      const unsigned code = pv_code(block, t->bits, i), at = (unsigned)(i / 64 * 4 + i % 4) << t->position_bits;
      sums[i / 4 % PV_TILE] += t->levels[code >> t->position_bits] * x[at + (code & mask)];
    }
}

void pv_scalar_tile_f32(const pv_tile* t, float sums[PV_TILE]) {
  const float* x = t->x;
  const uint8_t* block = t->packed;
  const unsigned mask = (1u << t->position_bits) - 1;
  memset(sums, 0, sizeof *sums * PV_TILE);
  for (size_t b = 0; b < t->blocks; b++, block += 16 * t->bits, x += (size_t)8 << t->position_bits)
    for (int r = 0; r < PV_TILE; r++) {
      float part = 0; /* a sum per 8 weights keeps the rounding error small */
      for (int i = 0; i < 8; i++) {
        const unsigned code = pv_code(block, t->bits, i / 4 * 64 + r * 4 + i % 4);
        part += t->codebook[code >> t->position_bits] * x[((unsigned)i << t->position_bits) + (code & mask)];
      }
      sums[r] += part;
    }
}

size_t pv_scalar_compress_i8(const int8_t* x, const uint8_t* bitmap, size_t n, int8_t* out) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++) {
    out[count] = x[i];
    count += (size_t)(bitmap[i / 8] >> (i % 8)) & 1u;
  }
  return count;
}

size_t pv_scalar_compress_f32(const float* x, const uint8_t* bitmap, size_t n, float* out) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++) {
    out[count] = x[i];
    count += (size_t)(bitmap[i / 8] >> (i % 8)) & 1u;
  }
  return count;
}

static void scalar_gemm_i8(const pv_gemm* g) {
  int32_t* acc = g->acc;
  memset(acc, 0, sizeof *acc * PV_TILE_ROWS * PV_TILE_PIXELS);
  const int8_t* w = g->panel;
  for (int32_t k = 0; k < g->steps; k++, w += 4 * PV_TILE_ROWS) {
    const int8_t* x = (const int8_t*)g->x + 4 * (ptrdiff_t)g->offsets[k];
    for (int r = 0; r < PV_TILE_ROWS; r++)
      for (int32_t p = 0; p < g->vectors; p++)
        for (int c = 0; c < 4; c++) acc[r * PV_TILE_PIXELS + p] += w[4 * r + c] * x[4 * p + c];
  }
}

static void scalar_gemm_f32(const pv_gemm* g) {
  float* acc = g->acc;
  for (int r = 0; r < g->rows; r++) memset(acc + r * PV_TILE_PIXELS, 0, sizeof *acc * (size_t)g->vectors);
  const float* w = g->panel;
  for (int32_t k = 0; k < g->steps; k++, w += PV_TILE_ROWS) {
    const float* x = (const float*)g->x + g->offsets[k];
    for (int r = 0; r < g->rows; r++)
      for (int32_t p = 0; p < g->vectors; p++) acc[r * PV_TILE_PIXELS + p] = fmaf(w[r], x[p], acc[r * PV_TILE_PIXELS + p]);
  }
}

void pv_scalar_finish_i32(const int32_t* acc, size_t n, const pv_finish* f, float* y) {
  for (size_t i = 0; i < n; i++) {
    const int32_t sum = (int32_t)((uint32_t)acc[i] - (uint32_t)f->zero);
    y[i] = pv_activate((float)sum * f->scale + f->bias, f->activation);
  }
}

void pv_scalar_finish_f32(const float* acc, size_t n, const pv_finish* f, float* y) {
  for (size_t i = 0; i < n; i++) y[i] = pv_activate(acc[i] * f->scale + f->bias, f->activation);
}

#include "float_loops.inc"
#include "int8_loops.inc"
#include "scalar_int8.inc"

static int scalar_supported(void) { return 1; }

const pv_kernels pv_kernels_scalar = {
    .name = "scalar",
    .supported = scalar_supported,
    .lanes = 1,
    .max_vectors = 48,
    .offset = 0,
    .max_abs = pv_scalar_max_abs,
    .quantize = pv_scalar_quantize,
    .quantize4 = scalar_quantize4,
    .decode = pv_scalar_decode,
    .turn = pv_turn,
    .panel_sums = scalar_panel_sums,
    .gemv_i8 = scalar_gemv_i8,
    .gemv_f32 = pv_scalar_gemv_f32,
    .tile_i8 = scalar_tile_i8,
    .compress_i8 = pv_scalar_compress_i8,
    .compress_f32 = pv_scalar_compress_f32,
    .gemm_i8 = scalar_gemm_i8,
    .gemm_f32 = scalar_gemm_f32,
    .finish_i32 = pv_scalar_finish_i32,
    .finish_f32 = pv_scalar_finish_f32,
    .token_tile = loop_token_tile,
    .exponentials = loop_exponentials,
    .normalize = loop_normalize,
    .i8_tile = scalar_i8_tile,
    .i8_turn = scalar_i8_turn,
    .i8_depthwise = scalar_i8_depthwise,
    .i8_add = loop_i8_add,
    .i8_join = loop_i8_join,
    .i8_max = loop_i8_max,
    .i8_to_float = loop_i8_to_float,
};
