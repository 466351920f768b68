/* pv_lut_linear: rows of packed codes against a batch of activation rows. */
#include "tokens.h"

enum { PV_CHUNK_ROWS = 32, PV_CHUNK_BATCH = 16 }; /* of one kernel call; their sums live on the stack */

/* Shared scratch: the scale and the int8 sum of each activation row (fast), then the rows, padded with zeros to whole
 * blocks. */
typedef struct pv_activations {
  float* scale;  /* [batch] */
  int32_t* sum;  /* [batch] */
  int8_t* x8;   /* [batch, stride] */
  float* x;     /* [batch, stride], the same memory */
  size_t stride;
} pv_activations;

static pv_activations view(const pv_lut* lut, int64_t batch, const void* scratch) {
  pv_activations a;
  uint8_t* base = pv_align(scratch);
  a.scale = (float*)base;
  a.sum = (int32_t*)(a.scale + batch);
  base += pv_round_up(2 * (size_t)batch * sizeof(float), PV_LINE);
  a.x8 = (int8_t*)base;
  a.x = (float*)base;
  a.stride = pv_blocks((size_t)lut->cols) * PV_BLOCK;
  return a;
}

size_t pv_lut_linear_scratch_bytes(const pv_lut* lut, int64_t batch, int fast) {
  const size_t values = (size_t)batch * pv_blocks((size_t)lut->cols) * PV_BLOCK;
  const size_t tokens = pv_tokens_are(lut, batch, fast) ? pv_tokens_bytes(lut, batch) : 0;
  return 3 * PV_LINE + 2 * (size_t)batch * sizeof(float) + values * (fast ? 1 : sizeof(float)) + tokens;
}

/* A sparse row's activations are compressed to its survivors: room for them all and for a kernel's last store. */
size_t pv_lut_linear_worker_bytes(const pv_lut* lut, int64_t batch, int fast) {
  if (pv_tokens_are(lut, batch, fast)) return pv_tokens_worker_bytes(lut);
  if (lut->layout != PV_BITMAP) return 0;
  return PV_LINE + (pv_blocks((size_t)lut->cols) * PV_BLOCK + 2 * PV_BLOCK) * sizeof(float);
}

int pv_lut_linear_prepare(const pv_lut* lut, const float* x, int64_t batch, int fast, void* scratch) {
  const int error = pv_lut_check(lut);
  if (error) return error;
  if (pv_is_flat(lut)) return PV_ERROR_LAYOUT;
  if (batch < 0) return PV_ERROR_SHAPE;
  const pv_kernels* k = pv_active();
  const pv_activations a = view(lut, batch, scratch);
  const size_t cols = (size_t)lut->cols, pad = a.stride - cols;
  for (int64_t n = 0; n < batch; n++, x += cols) {
    if (!fast) {
      memcpy(a.x + (size_t)n * a.stride, x, cols * sizeof(float));
      memset(a.x + (size_t)n * a.stride + cols, 0, pad * sizeof(float));
      continue;
    }
    const float largest = k->max_abs(x, cols);
    a.scale[n] = largest / 127.0f;
    k->quantize(x, cols, pv_activation_inverse(largest), a.x8 + (size_t)n * a.stride);
    memset(a.x8 + (size_t)n * a.stride + cols, 0, pad);
    a.sum[n] = 0;
    for (size_t i = 0; lut->layout == PV_BITMAP && i < cols; i++) a.sum[n] += a.x8[(size_t)n * a.stride + i];
  }
  if (pv_tokens_are(lut, batch, fast)) pv_tokens_prepare(lut, batch, a.x8, a.x8 + (size_t)batch * a.stride);
  return PV_OK;
}

/* One range of rows that share a codebook. */
typedef struct pv_range {
  const pv_kernels* kernels;
  const pv_lut* lut;
  const pv_activations* activations;
  pv_levels* levels;
  int64_t batch;
  int32_t fast, group;
  float* y;
} pv_range;

typedef union pv_sums {
  int32_t i32[PV_CHUNK_ROWS * PV_CHUNK_BATCH];
  float f32[PV_CHUNK_ROWS * PV_CHUNK_BATCH];
} pv_sums;

/* sums [rows, batch] of output rows [row, row + rows) and batch rows [n, n + batch) -> y. */
static void finish(const pv_range* g, const pv_sums* sums, int32_t row, int32_t rows, int64_t n, int32_t batch) {
  const pv_lut* lut = g->lut;
  for (int32_t r = 0; r < rows; r++) {
    const float bias = lut->bias ? lut->bias[row + r] : 0;
    const float row_scale = lut->row_scale ? lut->row_scale[row + r] : 1;
    for (int32_t b = 0; b < batch; b++) {
      float* y = g->y + (size_t)(n + b) * (size_t)lut->rows + (size_t)(row + r);
      pv_finish f = {row_scale, bias, 0, lut->activation};
      if (g->fast) {
        f.scale = g->activations->scale[n + b] * (g->levels->scale * row_scale);
        pv_scalar_finish_i32(sums->i32 + r * batch + b, 1, &f, y);
      } else {
        pv_scalar_finish_f32(sums->f32 + r * batch + b, 1, &f, y);
      }
    }
  }
}

static void run_dot(const pv_range* g, const pv_dot* dot, pv_sums* sums) {
  if (g->fast)
    g->kernels->gemv_i8(dot, sums->i32);
  else
    g->kernels->gemv_f32(dot, sums->f32);
}

static pv_dot base_dot(const pv_range* g) {
  const pv_lut* lut = g->lut;
  return (pv_dot){.bits = lut->bits,
                  .grid = g->levels->grid,
                  .levels = g->levels->level,
                  .codebook = lut->codebook + ((size_t)g->group << lut->bits),
                  .x_stride = g->activations->stride};
}

static int dense_rows(const pv_range* g, int32_t begin, int32_t end) {
  const pv_lut* lut = g->lut;
  const pv_activations* a = g->activations;
  pv_dot dot = base_dot(g);
  pv_sums sums;
  dot.blocks = (int32_t)pv_blocks((size_t)lut->cols);
  dot.row_bytes = (size_t)dot.blocks * 16 * (size_t)lut->bits;
  for (int32_t row = begin; row < end; row += PV_CHUNK_ROWS) {
    dot.packed = lut->packed + (size_t)row * dot.row_bytes;
    dot.rows = pv_min(PV_CHUNK_ROWS, end - row);
    for (int64_t n = 0; n < g->batch; n += PV_CHUNK_BATCH) {
      dot.batch = (int32_t)(g->batch - n < PV_CHUNK_BATCH ? g->batch - n : PV_CHUNK_BATCH);
      dot.x8 = a->x8 + (size_t)n * a->stride;
      dot.x = a->x + (size_t)n * a->stride;
      run_dot(g, &dot, &sums);
      finish(g, &sums, row, dot.rows, n, dot.batch);
    }
  }
  return PV_OK;
}

/* Tile by tile. */
static int one_of_rows(const pv_range* g, int32_t begin, int32_t end) {
  const pv_lut* lut = g->lut;
  const pv_activations* a = g->activations;
  const size_t bytes = pv_tile_bytes(lut);
  const int32_t position_bits = pv_position_bits(lut->block), bits = lut->bits + position_bits;
  pv_tile tile = {.blocks = bytes / (16 * (size_t)bits), .bits = bits, .position_bits = position_bits};
  pv_sums sums, wanted;
  tile.levels = g->levels->level;
  tile.codebook = lut->codebook + ((size_t)g->group << lut->bits);
  for (int32_t row = begin, stop; row < end; row = stop) {
    const int32_t first = row / PV_TILE * PV_TILE;
    stop = pv_min(end, first + PV_TILE);
    tile.packed = lut->packed + (size_t)(row / PV_TILE) * bytes;
    for (int64_t n = 0; n < g->batch; n++) {
      tile.x8 = a->x8 + (size_t)n * a->stride;
      tile.x = a->x + (size_t)n * a->stride;
      if (g->fast)
        g->kernels->tile_i8(&tile, sums.i32);
      else
        pv_scalar_tile_f32(&tile, sums.f32);
      memcpy(wanted.i32, sums.i32 + (row - first), (size_t)(stop - row) * sizeof(int32_t));
      finish(g, &wanted, row, stop - row, n, 1);
    }
  }
  return PV_OK;
}

/* One row of a bitmap layer. */
typedef struct pv_bitmap_row {
  const uint8_t *bitmap, *codes;
  size_t code_blocks;
} pv_bitmap_row;

static pv_bitmap_row bitmap_view(const pv_lut* lut, size_t mask_bytes, int32_t row) {
  const size_t begin = (size_t)lut->row_offsets[row], bytes = (size_t)lut->row_offsets[row + 1] - begin;
  const uint8_t* bitmap = lut->packed + begin;
  return (pv_bitmap_row){bitmap, bitmap + mask_bytes, (bytes - mask_bytes) / (16 * (size_t)lut->bits)};
}

/* Instead of spreading the survivors' weights, the activations they meet are gathered by the bitmap; the codes of the
 * survivors are then an ordinary dense row, shorter. Returns the survivors. */
static size_t gathered_dot(const pv_range* g, const pv_bitmap_row* row, size_t at, void* worker, pv_sums* sums) {
  const pv_activations* a = g->activations;
  int8_t* x8 = worker;
  float* x = worker;
  pv_dot dot = base_dot(g);
  dot.packed = row->codes;
  dot.rows = dot.batch = 1;
  dot.x8 = x8;
  dot.x = x;
  const size_t count = g->fast ? g->kernels->compress_i8(a->x8 + at, row->bitmap, a->stride, x8)
                               : g->kernels->compress_f32(a->x + at, row->bitmap, a->stride, x);
  dot.blocks = (int32_t)pv_blocks(count);
  if ((size_t)dot.blocks > row->code_blocks) return count;
  const size_t pad = (size_t)dot.blocks * PV_BLOCK - count;
  if (g->fast)
    memset(x8 + count, 0, pad);
  else
    memset(x + count, 0, pad * sizeof(float));
  run_dot(g, &dot, sums);
  return count;
}

static int bitmap_row(const pv_range* g, int32_t row, void* worker) {
  const pv_activations* a = g->activations;
  const pv_bitmap_row view = bitmap_view(g->lut, a->stride / 8, row);
  const int ternary = g->fast && g->lut->bits == 1 && g->kernels->ternary_i8;
  pv_sums sums;
  worker = pv_align(worker);
  for (int64_t n = 0; n < g->batch; n++) {
    const size_t at = (size_t)n * a->stride;
    size_t count;
    if (ternary) {
      const pv_ternary t = {view.bitmap,      view.codes, a->stride, view.code_blocks, g->levels->level,
                            a->x8 + at, a->sum[n]};
      count = g->kernels->ternary_i8(&t, worker, sums.i32);
    } else {
      count = gathered_dot(g, &view, at, worker, &sums);
    }
    if (count > view.code_blocks * PV_BLOCK) return PV_ERROR_SURVIVORS;
    finish(g, &sums, row, 1, n, 1);
  }
  return PV_OK;
}

static int bitmap_rows(const pv_range* g, int32_t begin, int32_t end, void* worker) {
  int error = PV_OK;
  for (int32_t row = begin; row < end && !error; row++) error = bitmap_row(g, row, worker);
  return error;
}

/* Rows [begin, end), which share a codebook. */
static int layout_rows(const pv_range* g, int32_t begin, int32_t end, void* worker) {
  switch (g->lut->layout) {
    case PV_DENSE:
      if (!pv_tokens_are(g->lut, g->batch, g->fast)) return dense_rows(g, begin, end);
      pv_tokens_rows(g->lut, g->levels, g->activations->scale, g->batch,
                     g->activations->x8 + (size_t)g->batch * g->activations->stride, worker, g->y, begin, end);
      return PV_OK;
    case PV_BITMAP: return bitmap_rows(g, begin, end, worker);
    case PV_ONE_OF: return one_of_rows(g, begin, end);
    default: return PV_ERROR_LAYOUT;
  }
}

int pv_lut_linear_rows(const pv_lut* lut, int64_t batch, int fast, const void* scratch, void* worker, float* y,
                       int32_t begin, int32_t end) {
  if (begin < 0 || end > lut->rows || begin > end) return PV_ERROR_RANGE;
  const pv_activations a = view(lut, batch, scratch);
  const int32_t step = pv_rows_per_group(lut);
  pv_levels levels;
  pv_range g = {.kernels = pv_active(), .lut = lut, .activations = &a, .levels = &levels, .batch = batch, .fast = fast};
  g.y = y;
  int error = PV_OK;
  for (int32_t row = begin, stop; row < end && !error; row = stop) {
    g.group = row / step;
    stop = pv_min(end, (g.group + 1) * step);
    pv_quantize_codebook(lut, g.group, &levels);
    error = layout_rows(&g, row, stop, worker);
  }
  return error;
}
