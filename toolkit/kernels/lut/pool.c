/* Max pooling of a convolution's output, row by row while it is in the cache. Plain loops that compilers vectorise. */
#include "conv.h"

enum { PV_CHUNK = 512 }; /* columns at a time */

/* Windows along an axis of `size`; with `pool_ceil` the last one may be cut off by the edge, as in torch. */
int32_t pv_pooled_size(const pv_conv* c, int32_t size) {
  if (!c->pool) return size;
  if (size < c->pool) return 0;
  const int32_t room = size - c->pool, stride = c->pool_stride;
  const int32_t windows = (c->pool_ceil ? (room + stride - 1) / stride : room / stride) + 1;
  return (windows - 1) * stride < size ? windows : windows - 1;
}

PV_INLINE float larger(float a, float b) { return a > b ? a : b; }

/* y[i] = the largest of x[stride * i ..] in a window. */
PV_INLINE void pool_windows(const float* restrict x, int32_t window, int32_t stride, float* restrict y, int32_t count) {
  for (int32_t i = 0; i < count; i++) {
    float most = x[i * stride];
    for (int32_t k = 1; k < window; k++) most = larger(x[i * stride + k], most);
    y[i] = most;
  }
}

static void pool_columns(const pv_conv* c, const float* x, int32_t width, float* y, int32_t count) {
  const int32_t whole = width < c->pool ? 0 : pv_min(count, (width - c->pool) / c->pool_stride + 1);
  if (c->pool_stride == 2 && c->pool == 2)
    pool_windows(x, 2, 2, y, whole);
  else if (c->pool_stride == 2 && c->pool == 3)
    pool_windows(x, 3, 2, y, whole);
  else
    pool_windows(x, c->pool, c->pool_stride, y, whole);
  for (int32_t i = whole; i < count; i++) /* cut off by the edge */
    pool_windows(x + i * c->pool_stride, width - i * c->pool_stride, 1, y + i, 1);
}

/* The largest of `rows` rows that lie `pitch` apart, column by column. */
static void pool_rows(const float* restrict x, size_t pitch, int32_t rows, int32_t width, float* restrict out) {
  const float *second = x + (rows > 1 ? pitch : 0), *third = x + (rows > 2 ? 2 * pitch : 0);
  if (rows < 3)
    for (int32_t i = 0; i < width; i++) out[i] = larger(x[i], second[i]);
  else
    for (int32_t i = 0; i < width; i++) out[i] = larger(larger(x[i], second[i]), third[i]);
  for (int32_t r = 3; r < rows; r++)
    for (int32_t i = 0; i < width; i++) out[i] = larger(x[(size_t)r * pitch + (size_t)i], out[i]);
}

void pv_max_pool(const pv_conv* c, const float* x, int32_t height, int32_t width, float* y, int32_t rows,
                 int32_t out_width) {
  float columns[PV_CHUNK];
  const int32_t windows = (PV_CHUNK - c->pool) / c->pool_stride + 1;
  for (int32_t r = 0; r < rows; r++) {
    const int32_t from = r * c->pool_stride, tall = pv_min(c->pool, height - from);
    for (int32_t i = 0; i < out_width; i += windows) {
      const int32_t left = i * c->pool_stride, live = pv_min(PV_CHUNK, width - left);
      pool_rows(x + (size_t)from * (size_t)width + left, (size_t)width, tall, live, columns);
      pool_columns(c, columns, live, y + (size_t)r * (size_t)out_width + i, pv_min(windows, out_width - i));
    }
  }
}
