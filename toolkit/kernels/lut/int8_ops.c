/* What stands between int8 convolutions: to and from float32, sums, max pooling. */
#include <math.h>

#include "int8_conv.h"

int pv_i8_is_grid(const pv_i8_grid* g) {
  return isfinite(g->scale) && g->scale > 0 && g->zero >= -128 && g->zero <= 127;
}

void pv_i8_ends(const pv_i8_grid* out, int32_t activation, int32_t* low, int32_t* high) {
  const float six = rintf(6.0f / out->scale) + (float)out->zero;
  *low = activation == PV_NONE ? -128 : out->zero;
  *high = activation == PV_RELU6 && six < 127 ? (int32_t)six : 127;
}

static int check_image(int32_t channels, size_t pixels, const pv_i8_grid* grid, int32_t begin, int32_t end) {
  if (!pv_i8_is_grid(grid)) return PV_ERROR_GRID;
  if (channels < 1 || !pixels) return PV_ERROR_SHAPE;
  return begin < 0 || begin > end || end > (channels + 3) / 4 ? PV_ERROR_RANGE : PV_OK;
}

int pv_i8_from_float(const float* x, int32_t channels, size_t pixels, const pv_i8_grid* grid, int8_t* y, int32_t begin,
                     int32_t end) {
  const int error = check_image(channels, pixels, grid, begin, end);
  if (error) return error;
  const pv_kernels* k = pv_active();
  const float zero = (float)grid->zero;
  const pv_grid ends = {1 / grid->scale, grid->scale, -128 - zero, 127 - zero, grid->zero - k->offset};
  for (int32_t q = begin; q < end; q++) {
    const float* channel[4];
    for (int32_t c = 0; c < 4; c++) channel[c] = 4 * q + c < channels ? x + (size_t)(4 * q + c) * pixels : NULL;
    k->quantize4(channel, pixels, &ends, (uint8_t*)y + 4 * (size_t)q * pixels);
  }
  return PV_OK;
}

int pv_i8_to_float(const int8_t* x, int32_t channels, size_t pixels, const pv_i8_grid* grid, float* y, int32_t begin,
                   int32_t end) {
  const int error = check_image(channels, pixels, grid, begin, end);
  if (error) return error;
  for (int32_t c = 4 * begin; c < pv_min(4 * end, channels); c++)
    pv_active()->i8_to_float(x + 4 * (size_t)(c / 4) * pixels, c % 4, pixels, grid->zero, grid->scale,
                             y + (size_t)c * pixels);
  return PV_OK;
}

int pv_i8_add(const int8_t* a, const pv_i8_grid* a_grid, const int8_t* b, const pv_i8_grid* b_grid,
              const pv_i8_grid* out, int32_t activation, size_t n, int8_t* y) {
  if (!pv_i8_is_grid(a_grid) || !pv_i8_is_grid(b_grid) || !pv_i8_is_grid(out)) return PV_ERROR_GRID;
  if (activation < PV_NONE || activation > PV_RELU6) return PV_ERROR_ACTIVATION;
  const double ka = (double)a_grid->scale / (double)out->scale, kb = (double)b_grid->scale / (double)out->scale;
  int exponent;
  frexp(ka > kb ? ka : kb, &exponent);
  if (exponent > 13) return PV_ERROR_GRID; /* a step of a summand is more than the whole grid of the sum */
  pv_i8_sum sum = {.shift = pv_min(14 - exponent, 22)}; /* multipliers below 2^14: sums of products below 2^22 */
  sum.ma = (int32_t)rint(ldexp(ka, sum.shift));
  sum.mb = (int32_t)rint(ldexp(kb, sum.shift));
  sum.c = out->zero * (1 << sum.shift) - a_grid->zero * sum.ma - b_grid->zero * sum.mb + (1 << (sum.shift - 1));
  pv_i8_ends(out, activation, &sum.low, &sum.high);
  pv_active()->i8_add(a, b, n, &sum, y);
  return PV_OK;
}

int pv_i8_pool_check(const pv_i8_pool* p) {
  const int32_t limit = 1 << 15;
  if (p->quads < 1 || p->height < 1 || p->width < 1 || p->height > limit || p->width > limit) return PV_ERROR_SHAPE;
  if (p->kernel < 1 || p->kernel > 64 || p->stride < 1 || p->stride > 64) return PV_ERROR_SHAPE;
  if (p->padding < 0 || 2 * p->padding > p->kernel) return PV_ERROR_SHAPE;
  int32_t size[2];
  pv_i8_pool_out_size(p, size);
  return size[0] < 1 || size[1] < 1 ? PV_ERROR_SHAPE : PV_OK;
}

/* As torch: a window that would start past the end and its padding is none. */
static int32_t windows(const pv_i8_pool* p, int32_t size) {
  const int32_t room = size + 2 * p->padding - p->kernel;
  if (room < 0) return 0;
  const int32_t count = (p->ceil ? (room + p->stride - 1) / p->stride : room / p->stride) + 1;
  return (count - 1) * p->stride < size + p->padding ? count : count - 1;
}

void pv_i8_pool_out_size(const pv_i8_pool* p, int32_t size[2]) {
  size[0] = windows(p, p->height);
  size[1] = windows(p, p->width);
}

/* Pixels of a phase of a padded row that windows reach. */
static size_t phase_pixels(const pv_i8_pool* p) {
  return (size_t)windows(p, p->width) + (size_t)p->kernel / (size_t)p->stride + 1;
}

/* The largest of a window's rows, [width, 4], and the same in phases of the stride. */
size_t pv_i8_pool_worker_bytes(const pv_i8_pool* p) {
  return 4 * ((size_t)p->width + (size_t)p->stride * phase_pixels(p));
}

static void pool_row(const pv_i8_pool* p, const int8_t* x, int32_t row, int8_t* most, int8_t* phases, int8_t* y) {
  const pv_kernels* k = pv_active();
  const int32_t top = row * p->stride - p->padding, first = top < 0 ? 0 : top;
  const int32_t end = pv_min(top + p->kernel, p->height), out = windows(p, p->width);
  const size_t bytes = 4 * (size_t)p->width, phase = 4 * phase_pixels(p);
  memcpy(most, x + (size_t)first * bytes, bytes);
  for (int32_t i = first + 1; i < end; i++) k->i8_max(x + (size_t)i * bytes, bytes, most);
  memset(phases, -128, (size_t)p->stride * phase);
  for (int32_t i = 0; i < p->stride; i++) {
    const int32_t skipped = i < p->padding ? (p->padding - i + p->stride - 1) / p->stride : 0;
    const int32_t from = skipped * p->stride + i - p->padding, room = (int32_t)(phase / 4) - skipped;
    uint8_t* to = (uint8_t*)phases + (size_t)i * phase + 4 * (size_t)skipped;
    pv_i8_copy_every(most, from, p->stride, pv_min(p->width, from + room * p->stride), to);
  }
  memcpy(y, phases, 4 * (size_t)out);
  for (int32_t i = 1; i < p->kernel; i++)
    k->i8_max(phases + (size_t)(i % p->stride) * phase + 4 * (size_t)(i / p->stride), 4 * (size_t)out, y);
}

int pv_i8_max_pool(const pv_i8_pool* p, const int8_t* x, void* worker, int8_t* y, int32_t begin, int32_t end) {
  const int error = pv_i8_pool_check(p);
  if (error) return error;
  if (begin < 0 || begin > end || end > p->quads) return PV_ERROR_RANGE;
  const size_t in = 4 * (size_t)p->height * (size_t)p->width;
  int8_t *most = worker, *phases = most + 4 * (size_t)p->width;
  int32_t size[2];
  pv_i8_pool_out_size(p, size);
  for (int32_t q = begin; q < end; q++)
    for (int32_t row = 0; row < size[0]; row++) {
      int8_t* out = y + 4 * ((size_t)q * (size_t)size[0] + (size_t)row) * (size_t)size[1];
      pool_row(p, x + (size_t)q * in, row, most, phases, out);
    }
  return PV_OK;
}
