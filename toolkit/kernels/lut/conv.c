/* pv_lut_conv2d: a convolution as a matrix product over shifted images, without im2col.
 *
 * The image is written once into planes of 4-byte elements: 4 int8 channels of a pixel side by side (fast), or one
 * float32 (exact, and depthwise layers in both semantics). A stride s splits every plane into s * s phases, so
 * that the pixels one kernel tap meets always lie side by side: output pixel i = y * plane_width + x meets element
 * offset[tap] + i, across row ends too. The columns past the output's width are computed and dropped.
 * The weights of PV_TILE_ROWS output channels are decoded once into a panel that stays in the L1 or L2 cache.
 */
#include <math.h>

#include "kernels.h"

enum { PV_FLOAT_TAPS = 518 };    /* 255 * 127 * 518 < 2^24: float32 sums of integers this long are exact */
enum { PV_UNSIGNED_COLS = 66000 }; /* 255 * 127 * 66000 < 2^31 */

typedef struct pv_geometry {
  int32_t out[2], plane[2]; /* heights, widths */
  int32_t taps, depth;      /* kernel positions; elements per group of channels and pixel */
  int32_t steps;            /* taps * depth */
  int32_t group_channels, group_rows;
  int32_t floats;           /* elements are float32 */
  size_t phases, plane_size, elements;
} pv_geometry;

/* Shared scratch: the grid of the activations, element offset of every step, the planes. */
typedef struct pv_image {
  pv_grid* grid;
  int32_t* offsets;
  uint32_t* elements;
} pv_image;

void pv_conv_out_size(const pv_conv* c, int32_t size[2]) {
  const int32_t in[2] = {c->height, c->width};
  for (int a = 0; a < 2; a++) {
    const int64_t span = (int64_t)c->dilation[a] * (c->kernel[a] - 1) + 1;
    const int64_t room = in[a] + 2 * (int64_t)c->padding[a] - span;
    size[a] = room < 0 ? 0 : (int32_t)(room / c->stride[a] + 1);
  }
}

static pv_geometry geometry(const pv_lut* lut, const pv_conv* c, int fast) {
  pv_geometry g;
  const int32_t in[2] = {c->height, c->width};
  pv_conv_out_size(c, g.out);
  for (int a = 0; a < 2; a++) g.plane[a] = (in[a] + 2 * c->padding[a] + c->stride[a] - 1) / c->stride[a];
  g.taps = c->kernel[0] * c->kernel[1];
  g.group_channels = c->channels / c->groups;
  g.group_rows = lut->rows / c->groups;
  g.floats = !fast || (g.group_channels == 1 && g.taps <= PV_FLOAT_TAPS);
  g.depth = g.floats ? g.group_channels : (g.group_channels + 3) / 4;
  g.steps = g.taps * g.depth;
  g.phases = (size_t)c->stride[0] * (size_t)c->stride[1];
  g.plane_size = (size_t)g.plane[0] * (size_t)g.plane[1];
  g.elements = (size_t)c->groups * (size_t)g.depth * g.phases * g.plane_size;
  return g;
}

int pv_conv_check(const pv_lut* lut, const pv_conv* c) {
  const int error = pv_lut_check(lut);
  if (error) return error;
  const int64_t limit = 1 << 24;
  for (int a = 0; a < 2; a++)
    if (c->kernel[a] < 1 || c->stride[a] < 1 || c->padding[a] < 0 || c->dilation[a] < 1 || c->kernel[a] > 4096 ||
        c->stride[a] > 4096 || c->padding[a] > 4096 || c->dilation[a] > 4096)
      return PV_ERROR_SHAPE;
  if (c->channels < 1 || c->height < 1 || c->width < 1 || c->height > limit || c->width > limit) return PV_ERROR_SHAPE;
  if (c->groups < 1 || c->channels % c->groups || lut->rows % c->groups || !lut->flat) return PV_ERROR_SHAPE;
  if ((int64_t)lut->cols != (int64_t)(c->channels / c->groups) * c->kernel[0] * c->kernel[1]) return PV_ERROR_SHAPE;
  int32_t out[2];
  pv_conv_out_size(c, out);
  if (out[0] < 1 || out[1] < 1) return PV_ERROR_SHAPE;
  const double elements = ((double)c->height + 2.0 * c->padding[0] + c->stride[0]) *
                          ((double)c->width + 2.0 * c->padding[1] + c->stride[1]) * c->channels;
  return elements < 2e9 ? PV_OK : PV_ERROR_SHAPE; /* offsets are int32 */
}

static pv_image view(const pv_geometry* g, const void* scratch) {
  uint8_t* base = pv_align(scratch);
  pv_image image = {(pv_grid*)base, (int32_t*)(base + PV_LINE), NULL};
  image.elements = (uint32_t*)(base + PV_LINE + pv_round_up((size_t)g->steps * sizeof(int32_t), PV_LINE));
  return image;
}

/* PV_TILE_PIXELS elements past the planes may be read by the last tile. */
size_t pv_lut_conv2d_scratch_bytes(const pv_lut* lut, const pv_conv* c, int fast) {
  const pv_geometry g = geometry(lut, c, fast);
  return 3 * PV_LINE + (size_t)g.steps * sizeof(int32_t) + (g.elements + PV_TILE_PIXELS) * sizeof(uint32_t);
}

static void step_offsets(const pv_geometry* g, const pv_conv* c, int32_t* offsets) {
  for (int32_t d = 0; d < g->depth; d++)
    for (int32_t ky = 0; ky < c->kernel[0]; ky++)
      for (int32_t kx = 0; kx < c->kernel[1]; kx++) {
        const int32_t y = ky * c->dilation[0], x = kx * c->dilation[1];
        const size_t phase = (size_t)(y % c->stride[0] * c->stride[1] + x % c->stride[1]);
        const size_t plane = ((size_t)d * g->phases + phase) * g->plane_size;
        const size_t at = (size_t)(y / c->stride[0]) * (size_t)g->plane[1] + (size_t)(x / c->stride[1]);
        *offsets++ = (int32_t)(plane + at);
      }
}

/* What turns one image row of up to 4 channels into elements. */
typedef struct pv_writer {
  const pv_kernels* kernels;
  const pv_geometry* geometry;
  const pv_grid* grid;
  int fast;
} pv_writer;

/* The grid of an image, float32 [n]. */
static pv_grid image_grid(const pv_kernels* k, const pv_lut* lut, const float* x, size_t n) {
  const float largest = k->max_abs(x, n);
  int negative = lut->cols > PV_UNSIGNED_COLS;
  for (size_t i = 0; i < n; i++) negative |= x[i] < 0;
  const float steps = negative ? 127 : 255;
  const float inverse = largest > 0 ? steps / largest : 0;
  return (pv_grid){inverse, largest / steps, negative ? -127 : 0, steps, negative ? 0 : -128};
}

static void write_elements(const pv_writer* w, const float* const x[4], size_t n, uint32_t* out) {
  if (!w->geometry->floats) {
    w->kernels->quantize4(x, n, w->grid, (uint8_t*)out);
    return;
  }
  if (!w->fast) {
    memcpy(out, x[0], n * sizeof(float));
    return;
  }
  const pv_grid* g = w->grid;
  for (size_t i = 0; i < n; i++) {
    const float q = rintf(x[0][i] * g->inverse), top = q > g->highest ? g->highest : q;
    const float value = top > g->lowest ? top : g->lowest; /* a NaN becomes the lowest */
    memcpy(out + i, &value, sizeof value);
  }
}

/* One image row into the planes of an element depth, whose phase 0 starts at `planes`. */
static void write_row(const pv_writer* w, const pv_conv* c, const float* const x[4], int32_t y, uint32_t* planes) {
  const pv_geometry* g = w->geometry;
  const int32_t sx = c->stride[1], at_y = y + c->padding[0];
  uint32_t* row = planes + (size_t)(at_y % c->stride[0] * sx) * g->plane_size;
  row += (size_t)(at_y / c->stride[0]) * (size_t)g->plane[1];
  if (sx == 1) {
    write_elements(w, x, (size_t)c->width, row + c->padding[1]);
    return;
  }
  uint32_t chunk[256];
  for (int32_t from = 0; from < c->width; from += 256) {
    const int32_t count = pv_min(256, c->width - from);
    const float* part[4];
    for (int i = 0; i < 4; i++) part[i] = x[i] ? x[i] + from : NULL;
    write_elements(w, part, (size_t)count, chunk);
    for (int32_t i = 0; i < count; i++) {
      const int32_t at = from + i + c->padding[1];
      row[(size_t)(at % sx) * g->plane_size + (size_t)(at / sx)] = chunk[i];
    }
  }
}

int pv_lut_conv2d_prepare(const pv_lut* lut, const pv_conv* c, const float* x, int fast, void* scratch) {
  const int error = pv_conv_check(lut, c);
  if (error) return error;
  const pv_kernels* k = pv_active();
  const pv_geometry g = geometry(lut, c, fast);
  const pv_image image = view(&g, scratch);
  const size_t plane = (size_t)c->height * (size_t)c->width;
  image.grid[0] = fast ? image_grid(k, lut, x, plane * (size_t)c->channels) : (pv_grid){0};
  const pv_writer writer = {k, &g, image.grid, fast};
  const int32_t per_element = g.floats ? 1 : 4;
  step_offsets(&g, c, image.offsets);
  memset(image.elements, g.floats ? 0 : image.grid->zero + k->offset, (g.elements + PV_TILE_PIXELS) * sizeof(uint32_t));
  for (int32_t e = 0; e < c->groups * g.depth; e++) {
    const int32_t in_group = e % g.depth * per_element, channel = e / g.depth * g.group_channels + in_group;
    for (int32_t y = 0; y < c->height; y++) {
      const float* rows[4] = {NULL, NULL, NULL, NULL};
      for (int32_t i = 0; i < per_element && in_group + i < g.group_channels; i++)
        rows[i] = x + (size_t)(channel + i) * plane + (size_t)y * (size_t)c->width;
      write_row(&writer, c, rows, y, image.elements + (size_t)e * g.phases * g.plane_size);
    }
  }
  return PV_OK;
}

/* Worker scratch: the sums of a tile, the panel of its weights, one decoded row. */
typedef struct pv_worker {
  uint8_t* decoded;
  uint8_t* panel;
  void* acc;
} pv_worker;

static size_t decoded_bytes(const pv_lut* lut) {
  return pv_round_up(((size_t)lut->cols + 2 * PV_BLOCK) * sizeof(float), PV_LINE);
}

static size_t panel_bytes(const pv_geometry* g) { return (size_t)g->steps * PV_TILE_ROWS * 4; }

size_t pv_lut_conv2d_worker_bytes(const pv_lut* lut, const pv_conv* c, int fast) {
  const pv_geometry g = geometry(lut, c, fast);
  return 2 * PV_LINE + decoded_bytes(lut) + panel_bytes(&g) + sizeof(float) * PV_TILE_ROWS * PV_TILE_PIXELS;
}

/* One call of pv_lut_conv2d_rows. */
typedef struct pv_task {
  const pv_kernels* kernels;
  const pv_lut* lut;
  const pv_geometry* geometry;
  pv_image image;
  pv_worker worker;
  pv_flat flat;
  pv_levels levels;
  int32_t fast, group;           /* `levels` are those of this codebook group, -1 at first */
  pv_finish finish[PV_TILE_ROWS];
} pv_task;

/* int8 row [channels, taps] -> column `r` of the panel [depth, taps, PV_TILE_ROWS, 4]; returns the row's sum. */
static int32_t panel_row_i8(const pv_geometry* g, const int8_t* row, int r, uint8_t* panel) {
  const int32_t taps = g->taps, whole = g->group_channels / 4;
  int32_t sum = 0;
  for (int32_t i = 0; i < g->group_channels * taps; i++) sum += row[i];
  panel += 4 * r;
  for (int32_t d = 0; d < g->depth; d++) {
    const int32_t live = d < whole ? 4 : g->group_channels - 4 * whole;
    for (int32_t t = 0; t < taps; t++, panel += 4 * PV_TILE_ROWS) {
      uint32_t quad = 0;
      for (int32_t c = 0; c < live; c++) quad |= (uint32_t)(uint8_t)row[(4 * d + c) * taps + t] << (8 * c);
      memcpy(panel, &quad, sizeof quad);
    }
  }
  return sum;
}

static int fill_row(pv_task* t, int32_t row, int r) {
  const pv_lut* lut = t->lut;
  const pv_geometry* g = t->geometry;
  const size_t cols = (size_t)lut->cols, first = (size_t)row * cols;
  float* panel = (float*)t->worker.panel;
  if (!t->fast) {
    float* w = (float*)t->worker.decoded;
    const int at = pv_flat_decode_f32(&t->flat, first, cols, lut->codebook + ((size_t)t->group << lut->bits), w);
    if (at < 0) return at;
    for (size_t i = 0; i < cols; i++) panel[i * PV_TILE_ROWS + (size_t)r] = w[(size_t)at + i];
    return PV_OK;
  }
  const int at = pv_flat_decode(&t->flat, first, cols, (const uint8_t*)t->levels.level, t->worker.decoded);
  if (at < 0) return at;
  const int8_t* w = (const int8_t*)t->worker.decoded + at;
  if (g->floats)
    for (size_t i = 0; i < cols; i++) panel[i * PV_TILE_ROWS + (size_t)r] = w[i];
  else
    t->finish[r].zero = (t->image.grid->zero + t->kernels->offset) * panel_row_i8(g, w, r, t->worker.panel);
  return PV_OK;
}

/* Panel and output scales of output rows [row, row + rows). */
static int fill_panel(pv_task* t, int32_t row, int32_t rows) {
  const pv_lut* lut = t->lut;
  if (rows < PV_TILE_ROWS) memset(t->worker.panel, 0, panel_bytes(t->geometry));
  for (int32_t r = 0; r < rows; r++) {
    const int32_t group = (row + r) / pv_rows_per_group(lut);
    if (group != t->group) pv_quantize_codebook(lut, group, &t->levels);
    t->group = group;
    const float row_scale = lut->row_scale ? lut->row_scale[row + r] : 1;
    t->finish[r] = (pv_finish){row_scale, lut->bias ? lut->bias[row + r] : 0, 0, lut->activation};
    if (t->fast) t->finish[r].scale = t->image.grid->scale * (t->levels.scale * row_scale);
    const int error = fill_row(t, row + r, r);
    if (error) return error;
  }
  return PV_OK;
}

/* Sums of pixels [first, first + count) of a tile row -> the output rows they belong to, y float32 [H', W']. */
static void store_pixels(const pv_task* t, int r, int32_t first, int32_t count, float* y) {
  const int32_t merged = t->geometry->plane[1] == t->geometry->out[1];
  const int32_t pitch = merged ? first + count : t->geometry->plane[1], width = merged ? pitch : t->geometry->out[1];
  const int32_t* acc = (const int32_t*)t->worker.acc + r * PV_TILE_PIXELS;
  for (int32_t i = first, end = first + count; i < end;) {
    const int32_t row = i / pitch, col = i % pitch, run = pv_min(end - i, pitch - col);
    const int32_t live = pv_min(run, width - col);
    if (live > 0 && t->geometry->floats)
      t->kernels->finish_f32((const float*)acc, (size_t)live, &t->finish[r], y + (size_t)row * (size_t)width + col);
    else if (live > 0)
      t->kernels->finish_i32(acc, (size_t)live, &t->finish[r], y + (size_t)row * (size_t)width + col);
    acc += run;
    i += run;
  }
}

static void run_tiles(const pv_task* t, int32_t channel_group, int32_t rows, float* y) {
  const pv_geometry* g = t->geometry;
  const int32_t pixels = (g->out[0] - 1) * g->plane[1] + g->out[1];
  const int32_t step = t->kernels->lanes * t->kernels->max_vectors;
  const uint32_t* x = t->image.elements + (size_t)channel_group * (size_t)g->depth * g->phases * g->plane_size;
  pv_gemm gemm = {.offsets = t->image.offsets, .panel = t->worker.panel, .steps = g->steps, .rows = rows};
  gemm.acc = t->worker.acc;
  for (int32_t i = 0; i < pixels; i += step) {
    const int32_t count = pv_min(step, pixels - i);
    gemm.x = x + i;
    gemm.vectors = (count + t->kernels->lanes - 1) / t->kernels->lanes;
    if (g->floats)
      t->kernels->gemm_f32(&gemm);
    else
      t->kernels->gemm_i8(&gemm);
    for (int32_t r = 0; r < rows; r++) store_pixels(t, r, i, count, y + (size_t)r * (size_t)g->out[0] * (size_t)g->out[1]);
  }
}

int pv_lut_conv2d_rows(const pv_lut* lut, const pv_conv* c, int fast, const void* scratch, void* worker, float* y,
                       int32_t begin, int32_t end) {
  if (begin < 0 || end > lut->rows || begin > end) return PV_ERROR_RANGE;
  const pv_geometry g = geometry(lut, c, fast);
  pv_task task = {.kernels = pv_active(), .lut = lut, .geometry = &g, .image = view(&g, scratch)};
  task.fast = fast;
  task.group = -1;
  task.worker.acc = pv_align(worker);
  task.worker.panel = (uint8_t*)task.worker.acc + sizeof(float) * PV_TILE_ROWS * PV_TILE_PIXELS;
  task.worker.decoded = task.worker.panel + pv_round_up(panel_bytes(&g), PV_LINE);
  pv_flat_open(&task.flat, lut);
  for (int32_t row = begin, stop; row < end; row = stop) {
    const int32_t group = row / g.group_rows;
    stop = pv_min(pv_min(row + PV_TILE_ROWS, (group + 1) * g.group_rows), end);
    const int error = fill_panel(&task, row, stop - row);
    if (error) return error;
    run_tiles(&task, group, stop - row, y + (size_t)row * (size_t)g.out[0] * (size_t)g.out[1]);
  }
  return PV_OK;
}
