/* pv_lut_conv2d: a convolution as a matrix product over shifted images, without im2col.
 *
 * The weights of a few tiles of output channels are decoded once into panels that stay in the cache; every tile of
 * pixels meets all of them before the next tile is read. Where pooling follows, a band of output rows is kept for as
 * long as windows need it, so that the whole output is never written.
 */
#include "conv.h"

enum { PV_PANELS = 8, PV_PANELS_BYTES = 96 << 10, PV_BAND_BYTES = 256 << 10, PV_PIXELS_BYTES = 16 << 10 };

/* Tiles of output channels that are computed together. One, if the pixels of a tile stay in the L1 cache anyway: fewer
 * output rows are then written side by side. */
static int32_t panel_count(const pv_geometry* g) {
  const size_t lines = (size_t)g->depth * (size_t)g->kernel_rows, pixels = lines * PV_TILE_PIXELS * sizeof(uint32_t);
  if (pixels <= PV_PIXELS_BYTES) return 1;
  const int32_t wanted = (g->group_rows + PV_TILE_ROWS - 1) / PV_TILE_ROWS;
  const size_t fit = PV_PANELS_BYTES / pv_panel_bytes(g);
  return pv_min(pv_min(wanted, PV_PANELS), fit ? (int32_t)pv_min(PV_PANELS, (int32_t)fit) : 1);
}

/* Rows of the convolution that a band holds: those of a few rows of pooling windows. */
static int32_t band_rows(const pv_geometry* g, const pv_conv* c) {
  if (!c->pool) return 0;
  const size_t row = sizeof(float) * (size_t)panel_count(g) * PV_TILE_ROWS * (size_t)g->out[1];
  const size_t fit = PV_BAND_BYTES / (row * (size_t)c->pool_stride);
  const int32_t windows = fit < 1 ? 1 : fit > 4096 ? 4096 : (int32_t)fit;
  return pv_min((windows - 1) * c->pool_stride + c->pool, g->out[0]);
}

static size_t band_bytes(const pv_geometry* g, const pv_conv* c) {
  const size_t rows = (size_t)panel_count(g) * PV_TILE_ROWS * (size_t)band_rows(g, c);
  return pv_round_up(sizeof(float) * rows * (size_t)g->out[1], PV_LINE);
}

enum { PV_ACC = PV_TILE_ROWS * PV_TILE_PIXELS, PV_ACC_BYTES = sizeof(float) * PV_ACC };

size_t pv_lut_conv2d_worker_bytes(const pv_lut* lut, const pv_conv* c, int fast) {
  const pv_geometry g = pv_conv_geometry(lut, c, fast);
  const size_t panels = pv_round_up((size_t)panel_count(&g) * pv_panel_bytes(&g), PV_LINE);
  return 2 * PV_LINE + PV_ACC_BYTES + band_bytes(&g, c) + panels + pv_decoded_bytes(lut, &g);
}

/* One call of pv_lut_conv2d_rows. */
typedef struct pv_task {
  const pv_kernels* kernels;
  const pv_conv* conv;
  const pv_geometry* geometry;
  pv_image image;
  pv_panels panels;
  uint8_t* panel; /* worker scratch: panels, the sums of a tile, a band */
  void* acc;
  float* band;
  pv_finish finish[PV_PANELS * PV_TILE_ROWS];
} pv_task;

/* Where rows of the convolution go: row `first` of output channel r at y[r * pitch]. */
typedef struct pv_target {
  float* y;
  size_t pitch;
  int32_t first;
} pv_target;

/* A run of a tile's pixels that lie side by side in the output. */
typedef struct pv_run {
  int32_t from, count;
  size_t to;
} pv_run;

/* The runs of pixels [first, first + count) that are within the output's width. */
static int32_t find_runs(const pv_geometry* g, const pv_target* target, int32_t first, int32_t count,
                         pv_run runs[PV_ACC]) {
  const int32_t pitch = g->plane[1], width = g->out[1];
  if (pitch == width) {
    runs[0] = (pv_run){0, count, (size_t)(first - target->first * width)};
    return 1;
  }
  int32_t found = 0, row = first / pitch, col = first % pitch;
  for (int32_t i = 0; i < count; i += pitch - col, row++, col = 0) {
    const int32_t live = pv_min(count - i, width - col);
    if (live > 0) runs[found++] = (pv_run){i, live, (size_t)(row - target->first) * (size_t)width + (size_t)col};
    if (i + pitch - col >= count) break;
  }
  return found;
}

static void store_rows(const pv_task* t, const pv_finish* finish, int32_t rows, const pv_run* runs, int32_t count,
                       const pv_target* target, float* y) {
  for (int32_t r = 0; r < rows; r++, y += target->pitch) {
    const int32_t* acc = (const int32_t*)t->acc + r * PV_TILE_PIXELS;
    for (int32_t i = 0; i < count; i++)
      if (t->geometry->floats)
        t->kernels->finish_f32((const float*)acc + runs[i].from, (size_t)runs[i].count, &finish[r], y + runs[i].to);
      else
        t->kernels->finish_i32(acc + runs[i].from, (size_t)runs[i].count, &finish[r], y + runs[i].to);
  }
}

/* Sums of a tile of `count` pixels; a single output channel has the room of eight for more of them. */
static void multiply(const pv_task* t, pv_gemm* gemm, int32_t count) {
  const pv_kernels* k = t->kernels;
  const int32_t step = k->lanes * k->max_vectors;
  const uint32_t* x = gemm->x;
  for (int32_t i = 0; i < count; i += step) {
    gemm->x = x + i;
    gemm->acc = (uint32_t*)t->acc + i;
    gemm->vectors = (pv_min(step, count - i) + k->lanes - 1) / k->lanes;
    if (t->geometry->floats)
      k->gemm_f32(gemm);
    else
      k->gemm_i8(gemm);
  }
  gemm->x = x;
}

/* Rows [begin, end) of the convolution, of the `rows` output channels whose panels are filled. */
static void convolve(const pv_task* t, int32_t channel_group, int32_t rows, int32_t begin, int32_t end,
                     const pv_target* target) {
  const pv_geometry* g = t->geometry;
  const int32_t stop = (end - 1) * g->plane[1] + g->out[1], tile = t->kernels->lanes * t->kernels->max_vectors;
  const int32_t step = g->floats && g->group_rows == 1 ? (PV_TILE_ROWS - 1) * tile : tile;
  const uint32_t* x = t->image.elements + (size_t)channel_group * (size_t)g->depth * g->phases * g->plane_size;
  pv_gemm gemm = {.offsets = t->image.offsets, .steps = g->steps};
  pv_run runs[PV_ACC];
  for (int32_t i = begin * g->plane[1]; i < stop; i += step) {
    const int32_t count = pv_min(step, stop - i), found = find_runs(g, target, i, count, runs);
    gemm.x = x + i;
    for (int32_t row = 0; row < rows; row += PV_TILE_ROWS) {
      gemm.panel = t->panel + (size_t)(row / PV_TILE_ROWS) * pv_panel_bytes(g);
      gemm.rows = pv_min(PV_TILE_ROWS, rows - row);
      multiply(t, &gemm, count);
      store_rows(t, &t->finish[row], gemm.rows, runs, found, target, target->y + (size_t)row * target->pitch);
    }
  }
}

/* The same with pooling, band by band; y [rows, H', W']. */
static void convolve_and_pool(const pv_task* t, int32_t channel_group, int32_t rows, float* y) {
  const pv_geometry* g = t->geometry;
  const pv_conv* c = t->conv;
  const int32_t width = g->out[1], capacity = band_rows(g, c);
  const int32_t pooled[2] = {pv_pooled_size(c, g->out[0]), pv_pooled_size(c, width)};
  pv_target band = {t->band, (size_t)capacity * (size_t)width, 0};
  for (int32_t done = 0, at = 0; at < pooled[0];) {
    const int32_t kept = done > at * c->pool_stride ? done - at * c->pool_stride : 0;
    for (int32_t r = 0; r < rows && kept; r++) {
      float* plane = t->band + (size_t)r * band.pitch;
      memmove(plane, plane + (size_t)(at * c->pool_stride - band.first) * (size_t)width,
              (size_t)kept * (size_t)width * sizeof(float));
    }
    band.first = at * c->pool_stride;
    const int32_t end = pv_min(band.first + capacity, g->out[0]);
    convolve(t, channel_group, rows, band.first + kept, end, &band);
    done = end;
    const int32_t whole = (end - band.first - c->pool) / c->pool_stride + 1;
    const int32_t windows = end == g->out[0] ? pooled[0] - at : whole;
    for (int32_t r = 0; r < rows; r++) {
      float* out = y + ((size_t)r * (size_t)pooled[0] + (size_t)at) * (size_t)pooled[1];
      pv_max_pool(c, t->band + (size_t)r * band.pitch, end - band.first, width, out, windows, pooled[1]);
    }
    at += windows;
  }
}

static pv_task open_task(const pv_lut* lut, const pv_conv* c, const pv_geometry* g, int fast, const void* scratch,
                         void* worker) {
  pv_task task = {.kernels = pv_active(), .conv = c, .geometry = g, .image = pv_conv_image(g, scratch)};
  task.acc = pv_align(worker);
  task.band = (float*)((uint8_t*)task.acc + PV_ACC_BYTES);
  task.panel = (uint8_t*)task.band + band_bytes(g, c);
  task.panels = (pv_panels){.lut = lut, .geometry = g, .grid = task.image.grid, .fast = fast, .group = -1};
  task.panels.decoded = task.panel + pv_round_up((size_t)panel_count(g) * pv_panel_bytes(g), PV_LINE);
  pv_flat_open(&task.panels.flat, lut);
  return task;
}

/* Panels and scales of output channels [row, stop). */
static int fill_panels(pv_task* t, int32_t row, int32_t stop) {
  for (int32_t at = 0; row + at < stop; at += PV_TILE_ROWS) {
    uint8_t* panel = t->panel + (size_t)(at / PV_TILE_ROWS) * pv_panel_bytes(t->geometry);
    const int error = pv_fill_panel(&t->panels, row + at, pv_min(PV_TILE_ROWS, stop - row - at), panel, &t->finish[at]);
    if (error) return error;
  }
  return PV_OK;
}

int pv_lut_conv2d_rows(const pv_lut* lut, const pv_conv* c, int fast, const void* scratch, void* worker, float* y,
                       int32_t begin, int32_t end) {
  if (begin < 0 || end > lut->rows || begin > end) return PV_ERROR_RANGE;
  const pv_geometry g = pv_conv_geometry(lut, c, fast);
  pv_task task = open_task(lut, c, &g, fast, scratch, worker);
  int32_t size[2];
  pv_conv_out_size(c, size);
  const size_t pitch = (size_t)size[0] * (size_t)size[1];
  for (int32_t row = begin, stop; row < end; row = stop) {
    const int32_t group = row / g.group_rows;
    stop = pv_min(pv_min(row + panel_count(&g) * PV_TILE_ROWS, (group + 1) * g.group_rows), end);
    const int error = fill_panels(&task, row, stop);
    if (error) return error;
    const pv_target whole = {y + (size_t)row * pitch, pitch, 0};
    if (c->pool)
      convolve_and_pool(&task, group, stop - row, whole.y);
    else
      convolve(&task, group, stop - row, 0, g.out[0], &whole);
  }
  return PV_OK;
}
