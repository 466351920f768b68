/* The image of a convolution, written once into planes of 4-byte elements: 4 int8 channels of a pixel side by side
 * (fast), or one float32 (exact, and depthwise layers in both semantics).
 *
 * A stride s splits every plane into s * s phases, so that the pixels one kernel tap meets always lie side by side:
 * output pixel i = y * plane_width + x meets element offset[tap] + i, across row ends too. The columns past the
 * output's width are computed and dropped. Without a stride, the padding right of a row is the one left of the next.
 */
#include "conv.h"

enum { PV_FLOAT_TAPS = 518 };      /* 255 * 127 * 518 < 2^24: float32 sums of integers this long are exact */
enum { PV_UNSIGNED_COLS = 66000 }; /* 255 * 127 * 66000 < 2^31 */
enum { PV_MAX_POOL = 64 };

static void conv_size(const pv_conv* c, int32_t size[2]) {
  const int32_t in[2] = {c->height, c->width};
  for (int a = 0; a < 2; a++) {
    const int64_t span = (int64_t)c->dilation[a] * (c->kernel[a] - 1) + 1;
    const int64_t room = in[a] + 2 * (int64_t)c->padding[a] - span;
    size[a] = room < 0 ? 0 : (int32_t)(room / c->stride[a] + 1);
  }
}

void pv_conv_out_size(const pv_conv* c, int32_t size[2]) {
  conv_size(c, size);
  for (int a = 0; a < 2; a++) size[a] = pv_pooled_size(c, size[a]);
}

static int shares_padding(const pv_conv* c) {
  return c->stride[0] == 1 && c->stride[1] == 1 && c->padding[1] <= c->dilation[1] * (c->kernel[1] - 1);
}

pv_geometry pv_conv_geometry(const pv_lut* lut, const pv_conv* c, int fast) {
  pv_geometry g;
  const int32_t in[2] = {c->height, c->width};
  conv_size(c, g.out);
  for (int a = 0; a < 2; a++) g.plane[a] = (in[a] + 2 * c->padding[a] + c->stride[a] - 1) / c->stride[a];
  const int32_t shared = shares_padding(c) ? c->padding[1] : 0;
  g.plane[1] -= shared;
  g.kernel_rows = c->kernel[0];
  g.taps = c->kernel[0] * c->kernel[1];
  g.group_channels = c->channels / c->groups;
  g.group_rows = lut->rows / c->groups;
  g.floats = !fast || (g.group_channels == 1 && g.taps <= PV_FLOAT_TAPS);
  g.depth = g.floats ? g.group_channels : (g.group_channels + 3) / 4;
  g.steps = g.taps * g.depth;
  g.phases = (size_t)c->stride[0] * (size_t)c->stride[1];
  g.plane_size = (size_t)g.plane[0] * (size_t)g.plane[1] + (size_t)shared;
  g.elements = (size_t)c->groups * (size_t)g.depth * g.phases * g.plane_size;
  return g;
}

static int check_pool(const pv_conv* c) {
  if (!c->pool) return PV_OK;
  return c->pool < 1 || c->pool > PV_MAX_POOL || c->pool_stride < 1 || c->pool_stride > PV_MAX_POOL ? PV_ERROR_SHAPE
                                                                                                    : PV_OK;
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
  if (!pv_is_flat(lut)) return PV_ERROR_LAYOUT;
  if (c->groups < 1 || c->channels % c->groups || lut->rows % c->groups) return PV_ERROR_SHAPE;
  if ((int64_t)lut->cols != (int64_t)(c->channels / c->groups) * c->kernel[0] * c->kernel[1]) return PV_ERROR_SHAPE;
  if (check_pool(c)) return PV_ERROR_SHAPE;
  int32_t out[2];
  pv_conv_out_size(c, out);
  if (out[0] < 1 || out[1] < 1) return PV_ERROR_SHAPE;
  const double elements = ((double)c->height + 2.0 * c->padding[0] + c->stride[0]) *
                          ((double)c->width + 2.0 * c->padding[1] + c->stride[1]) * c->channels;
  return elements < 2e9 ? PV_OK : PV_ERROR_SHAPE; /* offsets are int32 */
}

pv_image pv_conv_image(const pv_geometry* g, const void* scratch) {
  uint8_t* base = pv_align(scratch);
  pv_image image = {(pv_grid*)base, (int32_t*)(base + PV_LINE), NULL};
  image.elements = (uint32_t*)(base + PV_LINE + pv_round_up((size_t)g->steps * sizeof(int32_t), PV_LINE));
  return image;
}

/* PV_TILE_PIXELS elements past the planes may be read by the last tile. */
size_t pv_lut_conv2d_scratch_bytes(const pv_lut* lut, const pv_conv* c, int fast) {
  const pv_geometry g = pv_conv_geometry(lut, c, fast);
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
  int padding; /* the byte of an activation of 0 */
} pv_writer;

/* The grid of an image, float32 [n], read once. */
static pv_grid image_grid(const pv_kernels* k, const pv_lut* lut, const float* x, size_t n) {
  enum { CHUNK = 4096 };
  float largest = 0;
  int negative = lut->cols > PV_UNSIGNED_COLS;
  for (size_t at = 0; at < n; at += CHUNK) {
    const size_t count = n - at < CHUNK ? n - at : CHUNK;
    const float most = k->max_abs(x + at, count);
    largest = most > largest ? most : largest;
    int found = 0;
    for (size_t i = 0; i < count && !negative; i++) found |= x[at + i] < 0;
    negative |= found;
  }
  const float steps = negative ? 127 : 255;
  const float inverse = largest > 0 ? steps / largest : 0;
  return (pv_grid){inverse, largest / steps, negative ? -127 : 0, steps, negative ? 0 : -128};
}

/* An image's activations on the grid, as float32. Adding 1.5 * 2^23 and taking it away rounds as rintf does, and compilers
 * vectorise it. */
static void quantize_floats(const float* restrict x, size_t n, const pv_grid* g, float* restrict out) {
  const float inverse = g->inverse, lowest = g->lowest, highest = g->highest, whole = 12582912;
  for (size_t i = 0; i < n; i++) {
    const float q = (x[i] * inverse + whole) - whole, top = q > highest ? highest : q;
    out[i] = top > lowest ? top : lowest; /* a NaN becomes the lowest */
  }
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
  quantize_floats(x[0], n, w->grid, (float*)out);
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
    const int32_t at = from + c->padding[1];
    for (int32_t i = 0; i < pv_min(sx, count); i++) {
      uint32_t* phase = row + (size_t)((at + i) % sx) * g->plane_size + (size_t)((at + i) / sx);
      for (int32_t j = i; j < count; j += sx) *phase++ = chunk[j];
    }
  }
}

/* What write_row leaves of the planes of one element depth. */
static void write_padding(const pv_writer* w, const pv_conv* c, uint32_t* planes) {
  const pv_geometry* g = w->geometry;
  if (g->phases > 1) {
    memset(planes, w->padding, g->phases * g->plane_size * sizeof(uint32_t));
    return;
  }
  const size_t pitch = (size_t)g->plane[1], width = (size_t)c->width;
  size_t from = 0, at = (size_t)c->padding[0] * pitch + (size_t)c->padding[1];
  for (int32_t y = 0; y < c->height; y++, at += pitch) {
    memset(planes + from, w->padding, (at - from) * sizeof(uint32_t));
    from = at + width;
  }
  memset(planes + from, w->padding, (g->plane_size - from) * sizeof(uint32_t));
}

int pv_lut_conv2d_prepare(const pv_lut* lut, const pv_conv* c, const float* x, int fast, void* scratch) {
  const int error = pv_conv_check(lut, c);
  if (error) return error;
  const pv_kernels* k = pv_active();
  const pv_geometry g = pv_conv_geometry(lut, c, fast);
  const pv_image image = pv_conv_image(&g, scratch);
  const size_t plane = (size_t)c->height * (size_t)c->width;
  image.grid[0] = fast ? image_grid(k, lut, x, plane * (size_t)c->channels) : (pv_grid){0};
  const pv_writer writer = {k, &g, image.grid, fast, g.floats ? 0 : image.grid->zero + k->offset};
  const int32_t per_element = g.floats ? 1 : 4;
  step_offsets(&g, c, image.offsets);
  memset(image.elements + g.elements, 0, PV_TILE_PIXELS * sizeof(uint32_t));
  for (int32_t e = 0; e < c->groups * g.depth; e++) {
    const int32_t in_group = e % g.depth * per_element, channel = e / g.depth * g.group_channels + in_group;
    uint32_t* planes = image.elements + (size_t)e * g.phases * g.plane_size;
    write_padding(&writer, c, planes);
    for (int32_t y = 0; y < c->height; y++) {
      const float* rows[4] = {NULL, NULL, NULL, NULL};
      for (int32_t i = 0; i < per_element && in_group + i < g.group_channels; i++)
        rows[i] = x + (size_t)(channel + i) * plane + (size_t)y * (size_t)c->width;
      write_row(&writer, c, rows, y, planes);
    }
  }
  return PV_OK;
}
