/* pv_i8_conv: the products of conv.c with int8 activations on both sides. A tile of 8 output channels is finished in
 * registers and stored as two quads; where the image is its own plane, straight into the output.
 */
#include <math.h>

#include "int8_conv.h"

enum { PV_I8_PANELS = 8, PV_I8_PANELS_BYTES = 96 << 10, PV_I8_TILE_BYTES = PV_TILE_ROWS * PV_TILE_PIXELS };

/* What conv_panel.c needs to know of a convolution. */
static pv_geometry panel_geometry(const pv_i8_geometry* g) {
  return (pv_geometry){.taps = g->taps, .depth = g->depth, .steps = g->taps * g->depth};
}

static int32_t panel_count(const pv_i8_geometry* g) {
  const pv_geometry panel = panel_geometry(g);
  const size_t fit = PV_I8_PANELS_BYTES / pv_panel_bytes(&panel);
  const int32_t wanted = (g->group_rows + PV_TILE_ROWS - 1) / PV_TILE_ROWS;
  return pv_min(pv_min(wanted, PV_I8_PANELS), fit ? (int32_t)fit : 1);
}

/* Worker scratch: a tile, panels, decoded rows. */
static size_t panels_bytes(const pv_i8_geometry* g) {
  const pv_geometry panel = panel_geometry(g);
  return pv_round_up((size_t)panel_count(g) * pv_panel_bytes(&panel), PV_LINE);
}

size_t pv_i8_conv_worker_bytes(const pv_lut* lut, const pv_i8_conv* c) {
  const pv_i8_geometry g = pv_i8_conv_geometry(lut, c);
  if (g.depthwise) return pv_i8_depthwise_bytes(c, &g);
  const pv_geometry panel = panel_geometry(&g);
  return 2 * PV_LINE + PV_I8_TILE_BYTES + panels_bytes(&g) + pv_decoded_bytes(lut, &panel);
}

/* One call of pv_i8_conv_rows. */
typedef struct pv_i8_task {
  const pv_kernels* kernels;
  const pv_lut* lut;
  const pv_i8_conv* conv;
  const pv_i8_geometry* geometry;
  const int32_t* offsets;
  const int8_t* planes; /* of all quads */
  int8_t* tile;         /* worker scratch */
  uint8_t *panels, *decoded;
  const uint8_t *ahead, *ahead_end; /* codes to ask for while tiles are computed */
  pv_i8_finish finish[PV_I8_PANELS];
} pv_i8_task;

static float finite_or_zero(float value) { return isfinite(value) ? value : 0; }

void pv_i8_set_finish(const pv_i8_conv* c, const pv_finish* from, int32_t rows, pv_i8_finish* out) {
  const float half = 0.5f, quarter = 0x1p29f; /* of the largest sum, and of what fits */
  out->bounded = 1;
  for (int r = 0; r < PV_TILE_ROWS; r++) {
    const int live = r < rows;
    out->start[r] = live ? (int32_t)(0u - (uint32_t)from[r].zero) : 0;
    out->scale[r] = live ? finite_or_zero(from[r].scale / c->out.scale) : 0;
    out->bias[r] = (live ? finite_or_zero(from[r].bias / c->out.scale) : 0) + (float)c->out.zero;
    if (fabsf(out->scale[r]) > half || fabsf(out->bias[r]) > quarter) out->bounded = 0;
  }
}

/* A panel of three channels, its kernel rows' bytes side by side. */
static void join_panel(const pv_i8_geometry* g, int32_t width, uint8_t* panel) {
  enum { STEP = 4 * PV_TILE_ROWS };
  const int32_t bytes = 4 * g->columns;
  for (int32_t ky = 0; ky * width < g->taps; ky++)
    for (int r = 0; r < PV_TILE_ROWS; r++) {
      const uint8_t* from = panel + STEP * ky * width + 4 * r;
      uint8_t* to = panel + STEP * ky * g->columns + 4 * r; /* never past what is read next */
      for (int32_t i = 0; i < bytes; i++)
        to[STEP * (i / 4) + i % 4] = i < 3 * width ? from[STEP * (i / 3) + i % 3] : 0;
    }
}

/* Panels and finish of output channels [row, stop). */
static int fill_panels(pv_i8_task* t, pv_panels* panels, int32_t row, int32_t stop) {
  pv_finish finish[PV_TILE_ROWS];
  for (int32_t at = row; at < stop; at += PV_TILE_ROWS) {
    const int32_t index = (at - row) / PV_TILE_ROWS, rows = pv_min(PV_TILE_ROWS, stop - at);
    uint8_t* panel = t->panels + (size_t)index * pv_panel_bytes(panels->geometry);
    const int error = pv_fill_panel(panels, at, rows, panel, finish);
    if (error) return error;
    if (t->geometry->joined) join_panel(t->geometry, t->conv->kernel[1], panel);
    pv_i8_set_finish(t->conv, finish, rows, &t->finish[index]);
  }
  return PV_OK;
}

/* Where the pixels of a tile that starts at plane pixel `first` go; the columns past the output's width are dropped. */
static void store_tile(const pv_i8_task* t, int32_t first, int32_t count, const int8_t* tile, int8_t* y) {
  const int32_t pitch = t->geometry->plane[1], width = t->geometry->out[1];
  int32_t row = first / pitch, col = first % pitch;
  for (int32_t i = 0; i < count; row++, i += pitch - col, col = 0) {
    const int32_t live = pv_min(count - i, width - col);
    if (live > 0) memcpy(y + 4 * ((size_t)row * (size_t)width + (size_t)col), tile + 4 * i, 4 * (size_t)live);
  }
}

/* The panels' output channels, `rows` of them from `y` on, over plane pixels [first, first + count), `vectors` of them
 * readable. */
static void convolve_tile(pv_i8_task* t, pv_i8_tile* tile, int32_t rows, int32_t first, int32_t count, int8_t* y) {
  const pv_i8_geometry* g = t->geometry;
  const size_t out_quad = 4 * (size_t)g->out[0] * (size_t)g->out[1];
  const int straight = g->plane[1] == g->out[1] && count == tile->vectors * t->kernels->lanes;
  const pv_geometry panel = panel_geometry(g);
  for (int32_t row = 0; row < rows; row += PV_TILE_ROWS) {
    int8_t* out = y + (size_t)(row / 4) * out_quad;
    tile->panel = (const int8_t*)t->panels + (size_t)(row / PV_TILE_ROWS) * pv_panel_bytes(&panel);
    tile->finish = &t->finish[row / PV_TILE_ROWS];
    tile->quads = rows - row > 4 ? 2 : 1;
    tile->y = straight ? out + 4 * (size_t)first : t->tile;
    tile->pitch = straight ? out_quad : 4 * PV_TILE_PIXELS;
    tile->ahead = t->ahead;
    tile->ahead_step = t->ahead < t->ahead_end ? PV_LINE : 0;
    t->ahead += tile->ahead_step * (size_t)tile->steps;
    t->kernels->i8_tile(tile);
    for (int32_t quad = 0; quad < tile->quads && !straight; quad++)
      store_tile(t, first, count, t->tile + 4 * PV_TILE_PIXELS * quad, out + (size_t)quad * out_quad);
  }
}

/* All pixels of output channels of one group whose panels are filled. */
static void convolve(pv_i8_task* t, const int8_t* x, int32_t rows, int8_t* y) {
  const pv_i8_geometry* g = t->geometry;
  const int32_t lanes = t->kernels->lanes, most = t->kernels->max_vectors;
  const int32_t stop = (g->out[0] - 1) * g->plane[1] + g->out[1];
  pv_i8_tile tile = {.offsets = t->offsets, .steps = g->steps};
  for (int32_t i = 0; i < stop;) {
    const int32_t left = (stop - i + lanes - 1) / lanes, tiles = (left + most - 1) / most;
    tile.vectors = pv_min((left + tiles - 1) / tiles, stop < lanes ? 1 : stop / lanes);
    /* the last takes pixels again; past the end of fewer than a vector there is room */
    const int32_t size = tile.vectors * lanes, first = stop < size ? 0 : pv_min(i, stop - size);
    const int32_t count = pv_min(size, stop - first);
    tile.x = x + 4 * (size_t)first;
    convolve_tile(t, &tile, rows, first, count, y);
    i = first + count;
  }
}

/* The codes of output channels [row, stop) are wanted next. */
static void ask_ahead(pv_i8_task* t, int32_t row, int32_t stop) {
  const size_t bytes = t->lut->layout == PV_DENSE_FLAT ? (size_t)t->lut->cols * (size_t)t->lut->bits / 8 : 0;
  const uint8_t* first = t->lut->packed + (size_t)row * bytes;
  t->ahead = t->ahead > first ? t->ahead : first;
  t->ahead_end = t->lut->packed + (size_t)stop * bytes;
}

static int dense_rows(pv_i8_task* t, const int8_t* x, int padded, int8_t* y, int32_t begin, int32_t end) {
  const pv_i8_geometry* g = t->geometry;
  const pv_geometry panel = panel_geometry(g);
  const pv_grid grid = {.scale = t->conv->in.scale, .zero = t->conv->in.zero};
  const size_t in_plane = padded ? (size_t)(g->phases[0] * g->phases[1]) * g->plane_size
                                 : (size_t)t->conv->height * (size_t)t->conv->width;
  const size_t out_plane = (size_t)g->out[0] * (size_t)g->out[1];
  const int32_t several = panel_count(g) * PV_TILE_ROWS;
  pv_panels panels = {.lut = t->lut, .geometry = &panel, .grid = &grid, .decoded = t->decoded, .fast = 1, .group = -1};
  pv_flat_open(&panels.flat, t->lut);
  for (int32_t row = begin, stop; row < end; row = stop) {
    const int32_t group = row / g->group_rows;
    stop = pv_min(pv_min(row + several, (group + 1) * g->group_rows), end);
    const int error = fill_panels(t, &panels, row, stop);
    if (error) return error;
    ask_ahead(t, stop, pv_min(stop + several, end));
    const int8_t* from = (padded ? t->planes : x) + 4 * (size_t)(group * g->depth) * in_plane;
    convolve(t, from, stop - row, y + (size_t)row * out_plane);
  }
  return PV_OK;
}

int pv_i8_conv_rows(const pv_lut* lut, const pv_i8_conv* c, const int8_t* x, const void* scratch, void* worker,
                    int8_t* y, int32_t begin, int32_t end) {
  if (begin < 0 || end > lut->rows || begin > end || begin % PV_CONV_STEP || (end % PV_CONV_STEP && end != lut->rows))
    return PV_ERROR_RANGE;
  const pv_i8_geometry g = pv_i8_conv_geometry(lut, c);
  pv_i8_task task = {.kernels = pv_active(), .lut = lut, .conv = c, .geometry = &g};
  int32_t low, high;
  pv_i8_ends(&c->out, lut->activation, &low, &high);
  for (int i = 0; i < PV_I8_PANELS; i++) {
    task.finish[i].low = (int8_t)low;
    task.finish[i].high = (int8_t)high;
  }
  if (g.depthwise) return pv_i8_depthwise_rows(lut, c, &g, task.finish, x, worker, y, begin, end);
  task.offsets = pv_i8_conv_offsets(scratch);
  task.planes = pv_i8_conv_elements(&g, scratch);
  task.tile = (int8_t*)pv_align(worker);
  task.panels = (uint8_t*)task.tile + PV_I8_TILE_BYTES;
  task.decoded = task.panels + panels_bytes(&g);
  return dense_rows(&task, x, pv_i8_conv_planes_count(lut, c) > 0, y, begin, end);
}
