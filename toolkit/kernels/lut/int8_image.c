/* The image of an int8 convolution: checks, geometry, and padded planes of 4-channel pixels, split into phases for a
 * stride so that the pixels one tap meets lie side by side, as in conv_image.c. A 1x1 convolution reads the image itself. */
#include <math.h>
#include <stdlib.h>

#include "int8_conv.h"

enum { PV_I8_COLS = 66000 };    /* 255 * 127 * 66000 < 2^31 */
enum { PV_TIGHT_COLUMNS = 3, PV_TIGHT_PARTS = 50 }; /* measured: gaps of more than a fiftieth cost more than copies */
enum { PV_LEAST_PIXELS = 16 }; /* the largest `lanes`: fewer are copied, so that a vector of them can be read */

static void conv_size(const pv_i8_conv* c, int32_t size[2]) {
  const int32_t in[2] = {c->height, c->width};
  for (int a = 0; a < 2; a++) {
    const int64_t span = (int64_t)c->dilation[a] * (c->kernel[a] - 1) + 1;
    const int64_t room = in[a] + (int64_t)c->padding[a] + c->padding[2 + a] - span;
    size[a] = room < 0 ? 0 : (int32_t)(room / c->stride[a] + 1);
  }
}

void pv_i8_conv_out_size(const pv_i8_conv* c, int32_t size[2]) { conv_size(c, size); }

static int check_axis(const pv_i8_conv* c, int a) {
  const int32_t values[] = {c->kernel[a], c->stride[a], c->dilation[a]};
  for (int i = 0; i < 3; i++)
    if (values[i] < 1 || values[i] > 4096) return PV_ERROR_SHAPE;
  const int32_t reach = c->dilation[a] * (c->kernel[a] - 1);
  for (int end = 0; end < 2; end++)
    if (c->padding[2 * end + a] < 0 || c->padding[2 * end + a] > reach) return PV_ERROR_SHAPE;
  return PV_OK;
}

static int check_groups(const pv_lut* lut, const pv_i8_conv* c) {
  if (c->groups < 1 || c->channels % c->groups || lut->rows % c->groups) return PV_ERROR_SHAPE;
  if (c->groups == 1 || (c->groups == c->channels && lut->rows == c->channels)) return PV_OK;
  return c->channels / c->groups % 4 || lut->rows / c->groups % 4 ? PV_ERROR_SHAPE : PV_OK;
}

int pv_i8_conv_check(const pv_lut* lut, const pv_i8_conv* c) {
  const int error = pv_lut_check(lut);
  if (error) return error;
  const int64_t limit = 1 << 24;
  if (!pv_is_flat(lut)) return PV_ERROR_LAYOUT;
  if (c->channels < 1 || c->height < 1 || c->width < 1 || c->height > limit || c->width > limit) return PV_ERROR_SHAPE;
  if (check_axis(c, 0) || check_axis(c, 1) || check_groups(lut, c)) return PV_ERROR_SHAPE;
  if (!pv_i8_is_grid(&c->in) || !pv_i8_is_grid(&c->out)) return PV_ERROR_GRID;
  const int64_t cols = (int64_t)(c->channels / c->groups) * c->kernel[0] * c->kernel[1];
  int32_t out[2];
  conv_size(c, out);
  if (lut->cols != cols || cols > PV_I8_COLS || out[0] < 1 || out[1] < 1) return PV_ERROR_SHAPE;
  const double pixels = ((double)c->height + c->padding[0] + c->padding[2] + c->stride[0]) *
                        ((double)c->width + c->padding[1] + c->padding[3] + c->stride[1]);
  if (pixels * ((double)c->channels + 4) >= 2e9) return PV_ERROR_SHAPE;
  const pv_i8_geometry g = pv_i8_conv_geometry(lut, c);
  const double planes = (double)g.phases[0] * g.phases[1] * (double)g.plane_size; /* `tight` ones are copies */
  return planes * g.depth < INT32_MAX ? PV_OK : PV_ERROR_SHAPE; /* offsets are int32 */
}

/* Phases of a stride that some tap meets. */
static int32_t phases_of(const pv_i8_conv* c, int a) {
  return c->kernel[a] == 1 ? 1 : c->dilation[a] == 1 ? pv_min(c->kernel[a], c->stride[a]) : c->stride[a];
}

/* Copies for each column of the kernel, without gaps between rows: more is copied, but narrow images have many gaps. */
static int is_tight(const pv_i8_conv* c, const int32_t out[2], int32_t pitch) {
  return c->kernel[1] <= PV_TIGHT_COLUMNS && (pitch - out[1]) * PV_TIGHT_PARTS > pitch;
}

/* Three channels and so wide a kernel that its rows are fewer steps without every fourth byte. */
static int is_joined(const pv_i8_conv* c) {
  return c->channels == 3 && c->groups == 1 && c->dilation[1] == 1 && c->kernel[1] > 3;
}

pv_i8_geometry pv_i8_conv_geometry(const pv_lut* lut, const pv_i8_conv* c) {
  pv_i8_geometry g;
  const int32_t in[2] = {c->height, c->width};
  conv_size(c, g.out);
  g.depthwise = c->groups > 1 && c->groups == c->channels;
  g.taps = c->kernel[0] * c->kernel[1];
  g.depth = (c->channels / c->groups + 3) / 4;
  g.joined = is_joined(c);
  g.columns = g.joined ? (3 * c->kernel[1] + 3) / 4 : c->kernel[1];
  g.steps = g.depthwise ? 0 : c->kernel[0] * g.columns * g.depth;
  g.group_rows = lut->rows / c->groups;
  for (int a = 0; a < 2; a++) {
    const int32_t before = c->padding[a], after = c->padding[2 + a], stride = c->stride[a];
    g.phases[a] = phases_of(c, a);
    g.plane[a] = (in[a] + before + after + stride - 1) / stride;
    if (a == 1 && stride == 1) g.plane[a] -= pv_min(before, after); /* one gap between rows is both */
  }
  int32_t shared = c->stride[1] == 1 ? pv_min(c->padding[1], c->padding[3]) : 0;
  g.tight = g.joined || (!g.depthwise && is_tight(c, g.out, g.plane[1]));
  if (g.tight) {
    g.phases[1] = g.columns;
    g.plane[1] = g.out[1];
    shared = 0;
  }
  g.plane_size = (size_t)g.plane[0] * (size_t)g.plane[1] + (size_t)shared;
  g.direct = !g.depthwise && g.taps == 1 && c->stride[0] == 1 && c->stride[1] == 1;
  return g;
}

int32_t* pv_i8_conv_offsets(const void* scratch) { return (int32_t*)pv_align(scratch); }

int8_t* pv_i8_conv_elements(const pv_i8_geometry* g, const void* scratch) {
  return (int8_t*)pv_align(scratch) + pv_round_up((size_t)g->steps * sizeof(int32_t), PV_LINE);
}

/* Whether shared scratch holds padded planes: not where the image is read itself, or a quad at a time by each worker. */
static int has_planes(const pv_i8_geometry* g, const pv_i8_conv* c) {
  return !g->depthwise && (!g->direct || (int64_t)c->height * c->width < PV_LEAST_PIXELS);
}

int32_t pv_i8_conv_planes_count(const pv_lut* lut, const pv_i8_conv* c) {
  const pv_i8_geometry g = pv_i8_conv_geometry(lut, c);
  return has_planes(&g, c) ? c->groups * g.depth : 0;
}

/* Pixels of a row before it is joined, and what kernels read past it. */
static size_t padded_row(const pv_i8_geometry* g, const pv_i8_conv* c) {
  return g->joined ? (size_t)c->width + (size_t)c->padding[1] + (size_t)c->padding[3] + PV_TILE_PIXELS : 0;
}

size_t pv_i8_conv_scratch_bytes(const pv_lut* lut, const pv_i8_conv* c) {
  const pv_i8_geometry g = pv_i8_conv_geometry(lut, c);
  const size_t phases = (size_t)g.phases[0] * (size_t)g.phases[1];
  const size_t planes = (size_t)pv_i8_conv_planes_count(lut, c) * phases * g.plane_size;
  return 3 * PV_LINE + (size_t)g.steps * sizeof(int32_t) + 4 * (planes + PV_TILE_PIXELS + padded_row(&g, c));
}

static int8_t* joined_row(const pv_i8_geometry* g, const void* scratch) {
  const size_t planes = (size_t)(g->phases[0] * g->phases[1]) * g->plane_size; /* of the only quad */
  return pv_i8_conv_elements(g, scratch) + (g->joined ? 4 * (planes + PV_TILE_PIXELS) : 0);
}

int pv_i8_conv_prepare(const pv_lut* lut, const pv_i8_conv* c, void* scratch) {
  const int error = pv_i8_conv_check(lut, c);
  if (error) return error;
  const pv_i8_geometry g = pv_i8_conv_geometry(lut, c);
  if (g.depthwise) return PV_OK;
  int32_t* offsets = pv_i8_conv_offsets(scratch);
  const size_t quad = (size_t)(g.phases[0] * g.phases[1]) * g.plane_size;
  for (int32_t d = 0; d < g.depth; d++)
    for (int32_t ky = 0; ky < c->kernel[0]; ky++)
      for (int32_t kx = 0; kx < g.columns; kx++) {
        const int32_t y = ky * c->dilation[0], x = kx * c->dilation[1];
        const int32_t phase = y % c->stride[0] * g.phases[1] + (g.tight ? kx : x % c->stride[1]);
        const int32_t at = y / c->stride[0] * g.plane[1] + (g.tight ? 0 : x / c->stride[1]);
        *offsets++ = (int32_t)((size_t)d * quad + (size_t)phase * g.plane_size + (size_t)at);
      }
  const size_t planes = (size_t)pv_i8_conv_planes_count(lut, c) * quad;
  memset(pv_i8_conv_elements(&g, scratch) + 4 * planes, 0, 4 * PV_TILE_PIXELS);
  memset(joined_row(&g, scratch), c->in.zero, 4 * padded_row(&g, c));
  return PV_OK;
}

/* As pv_i8_copy_every of the commonest stride: compilers vectorise it. */
static void copy_every_second(const int8_t* restrict x, int32_t first, int32_t width, uint8_t* restrict out) {
  const int32_t count = (width - first + 1) / 2;
  const int8_t* from = x + 4 * (size_t)first;
  for (int32_t i = 0; i < count; i++) {
    uint32_t pixel;
    memcpy(&pixel, from + 8 * (size_t)i, 4);
    memcpy(out + 4 * (size_t)i, &pixel, 4);
  }
}

void pv_i8_copy_every(const int8_t* x, int32_t first, int32_t stride, int32_t width, uint8_t* out) {
  if (first >= width) return;
  if (stride == 1)
    memcpy(out, x + 4 * (size_t)first, 4 * (size_t)(width - first));
  else if (stride == 2)
    copy_every_second(x, first, width, out);
  else
    for (int32_t i = first; i < width; i += stride, out += 4) memcpy(out, x + 4 * (size_t)i, 4);
}

/* Pixel x of the row goes to column (x - start) / stride of a phase, for columns that begin at `start`. */
static void write_row(const pv_i8_geometry* g, const pv_i8_conv* c, const int8_t* x, uint8_t* row) {
  const int32_t stride = c->stride[1], left = c->padding[1];
  for (int32_t phase = 0; phase < g->phases[1]; phase++) {
    const int32_t start = g->tight ? phase * c->dilation[1] - left : phase - left;
    const int32_t first = start >= 0 ? start : (start % stride + stride) % stride, column = (first - start) / stride;
    const int32_t end = g->tight ? pv_min(c->width, start + (g->out[1] - 1) * stride + 1) : c->width;
    pv_i8_copy_every(x, first, stride, end, row + 4 * ((size_t)phase * g->plane_size + (size_t)column));
  }
}

static int rows_touch(const pv_i8_geometry* g, const pv_i8_conv* c) {
  return g->tight && !g->joined && c->stride[0] == 1 && c->stride[1] == 1 && g->out[1] == c->width;
}

/* Columns [first, first + count) of an image `width` wide become the grid's zero. */
static void clear_columns(const pv_i8_conv* c, int32_t first, int32_t count, uint8_t* image) {
  const uint32_t zero = (uint8_t)c->in.zero * 0x01010101u;
  for (int32_t y = 0; y < c->height; y++, image += 4 * (size_t)c->width)
    for (int32_t i = first; i < first + count; i++) memcpy(image + 4 * (size_t)i, &zero, sizeof zero);
}

/* Where rows touch in the image and in its planes, a plane is the image moved along, but for the columns beside it. */
static void move_image(const pv_i8_geometry* g, const pv_i8_conv* c, const int8_t* x, uint8_t* planes) {
  const size_t row = 4 * (size_t)c->width, image = row * (size_t)c->height, above = row * (size_t)c->padding[0];
  for (int32_t phase = 0; phase < g->phases[1]; phase++, planes += 4 * g->plane_size) {
    const int32_t right = c->padding[1] - phase * c->dilation[1], beside = pv_min(abs(right), c->width);
    const size_t left_out = 4 * (size_t)beside;
    uint8_t* to = planes + above;
    memset(planes, c->in.zero, above);
    memcpy(to + (right > 0 ? left_out : 0), x + (right > 0 ? 0 : left_out), image - left_out);
    clear_columns(c, right > 0 ? 0 : c->width - beside, beside, to);
    memset(to + image, c->in.zero, 4 * g->plane_size - above - image);
  }
}

/* As write_row, of three channels, by way of `padded`. */
static void join_row(const pv_i8_geometry* g, const pv_i8_conv* c, const int8_t* x, int8_t* padded, uint8_t* row) {
  memcpy(padded + 4 * c->padding[1], x, 4 * (size_t)c->width);
  for (int32_t phase = 0; phase < g->phases[1]; phase++)
    pv_active()->i8_join(padded, c->stride[1], 4 * phase, g->out[1], (int8_t*)row + 4 * (size_t)phase * g->plane_size);
}

/* A quad of the image, int8 [height, width, 4], into its padded planes. */
static void write_planes(const pv_i8_geometry* g, const pv_i8_conv* c, const int8_t* x, int8_t* padded, uint8_t* planes) {
  const int32_t stride = c->stride[0];
  const size_t size = (size_t)(g->phases[0] * g->phases[1]) * g->plane_size;
  if (rows_touch(g, c)) {
    move_image(g, c, x, planes);
    return;
  }
  memset(planes, c->in.zero, 4 * size);
  for (int32_t y = 0; y < c->height; y++, x += 4 * (size_t)c->width) {
    const int32_t at = y + c->padding[0], phase = at % stride;
    if (phase >= g->phases[0]) continue;
    uint8_t* plane = planes + 4 * (size_t)(phase * g->phases[1]) * g->plane_size;
    uint8_t* row = plane + 4 * (size_t)(at / stride) * (size_t)g->plane[1];
    g->joined ? join_row(g, c, x, padded, row) : write_row(g, c, x, row);
  }
}

void pv_i8_conv_planes(const pv_lut* lut, const pv_i8_conv* c, const int8_t* x, void* scratch, int32_t begin,
                       int32_t end) {
  const pv_i8_geometry g = pv_i8_conv_geometry(lut, c);
  const size_t quad = 4 * (size_t)(g.phases[0] * g.phases[1]) * g.plane_size;
  uint8_t* planes = (uint8_t*)pv_i8_conv_elements(&g, scratch);
  for (int32_t q = begin; q < end; q++)
    write_planes(&g, c, x + 4 * (size_t)q * (size_t)c->height * (size_t)c->width, joined_row(&g, scratch),
                 planes + (size_t)q * quad);
}
