#include "preprocess.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Upright pixel (x, y) lies at pixels + origin + x * step_x + y * step_y. */
typedef struct {
  const uint8_t* origin;
  ptrdiff_t step_x, step_y;
  int width, height;
} Upright;

static Upright upright_view(const uint8_t* pixels, int width, int height, size_t row_stride, int channels,
                            int orientation) {
  const ptrdiff_t dx = channels, dy = (ptrdiff_t)row_stride;
  const uint8_t* right = pixels + (ptrdiff_t)(width - 1) * dx;
  const uint8_t* bottom = pixels + (ptrdiff_t)(height - 1) * dy;
  const uint8_t* corner = bottom + (ptrdiff_t)(width - 1) * dx;
  switch (orientation) {
    case 2: return (Upright){right, -dx, dy, width, height};   /* mirrored */
    case 3: return (Upright){corner, -dx, -dy, width, height}; /* turned by 180 degrees */
    case 4: return (Upright){bottom, dx, -dy, width, height};  /* upside down */
    case 5: return (Upright){pixels, dy, dx, height, width};   /* transposed */
    case 6: return (Upright){bottom, -dy, dx, height, width};  /* turn 90 degrees clockwise to be upright */
    case 7: return (Upright){corner, -dy, -dx, height, width}; /* transverse */
    case 8: return (Upright){right, dy, -dx, height, width};   /* turn 90 degrees counter-clockwise */
    default: return (Upright){pixels, dx, dy, width, height};
  }
}

/* For each output position: the first input position and `taps` weights that sum to 1. */
typedef struct {
  int taps;
  int* first;
  int* count;
  float* weights; /* [size, taps] */
} Filter;

static void filter_free(Filter* filter) {
  free(filter->first);
  free(filter->count);
  free(filter->weights);
}

static int filter_make(Filter* filter, int in_size, int out_size) {
  const double ratio = (double)in_size / out_size;
  const double support = ratio > 1 ? ratio : 1; /* the triangle's half width, input pixels */
  filter->taps = (int)ceil(support) * 2 + 1;
  filter->first = malloc((size_t)out_size * sizeof(int));
  filter->count = malloc((size_t)out_size * sizeof(int));
  filter->weights = malloc((size_t)out_size * (size_t)filter->taps * sizeof(float));
  if (!filter->first || !filter->count || !filter->weights) return PV_PREPROCESS_MEMORY;
  for (int i = 0; i < out_size; i++) {
    const double centre = (i + 0.5) * ratio;
    int first = (int)(centre - support + 0.5), end = (int)(centre + support + 0.5);
    if (first < 0) first = 0;
    if (end > in_size) end = in_size;
    if (end - first > filter->taps) end = first + filter->taps;
    float* weights = filter->weights + (size_t)i * filter->taps;
    double sum = 0;
    for (int j = first; j < end; j++) {
      const double distance = fabs((j - centre + 0.5) / support);
      weights[j - first] = (float)(distance < 1 ? 1 - distance : 0);
      sum += distance < 1 ? 1 - distance : 0;
    }
    for (int j = 0; j < end - first; j++) weights[j] = (float)(weights[j] / sum);
    filter->first[i] = first;
    filter->count[i] = end - first;
  }
  return PV_PREPROCESS_OK;
}

/* One upright input row -> float32 [3, out_width], not yet normalised. */
static void resize_row(const Upright* image, int y, const Filter* filter, int out_width, float* row) {
  const uint8_t* line = image->origin + (ptrdiff_t)y * image->step_y;
  for (int x = 0; x < out_width; x++) {
    const float* weights = filter->weights + (size_t)x * filter->taps;
    const uint8_t* pixel = line + (ptrdiff_t)filter->first[x] * image->step_x;
    float red = 0, green = 0, blue = 0;
    for (int j = 0; j < filter->count[x]; j++, pixel += image->step_x) {
      red += weights[j] * pixel[0];
      green += weights[j] * pixel[1];
      blue += weights[j] * pixel[2];
    }
    row[x] = red;
    row[out_width + x] = green;
    row[2 * out_width + x] = blue;
  }
}

static void combine_rows(const float* ring, const Filter* filter, int y, int out_height, int out_width,
                         const float* scale, const float* shift, float* out) {
  const float* weights = filter->weights + (size_t)y * filter->taps;
  const size_t row_size = (size_t)3 * out_width;
  for (int c = 0; c < 3; c++) {
    float* line = out + ((size_t)c * out_height + y) * out_width;
    for (int x = 0; x < out_width; x++) line[x] = shift[c];
    for (int j = 0; j < filter->count[y]; j++) {
      const int slot = (filter->first[y] + j) % filter->taps;
      const float* row = ring + (size_t)slot * row_size + (size_t)c * out_width;
      const float weight = weights[j] * scale[c];
      for (int x = 0; x < out_width; x++) line[x] += weight * row[x];
    }
  }
}

static int resize(const Upright* image, const Filter* across, const Filter* down, int out_height, int out_width,
                  const float* scale, const float* shift, float* out) {
  float* ring = malloc((size_t)down->taps * 3 * (size_t)out_width * sizeof(float));
  if (!ring) return PV_PREPROCESS_MEMORY;
  int next = 0; /* first input row not yet resized */
  for (int y = 0; y < out_height; y++) {
    const int end = down->first[y] + down->count[y];
    if (next < down->first[y]) next = down->first[y];
    for (; next < end; next++) {
      resize_row(image, next, across, out_width, ring + (size_t)(next % down->taps) * 3 * out_width);
    }
    combine_rows(ring, down, y, out_height, out_width, scale, shift, out);
  }
  free(ring);
  return PV_PREPROCESS_OK;
}

int pv_preprocess(const uint8_t* pixels, int width, int height, size_t row_stride, int channels,
                  int orientation, int out_height, int out_width, const float mean[3], const float std[3],
                  float* out) {
  const int sizes_fit = width > 0 && height > 0 && out_height > 0 && out_width > 0 && out_height <= 16384 &&
                        out_width <= 16384 && row_stride >= (size_t)width * (size_t)channels;
  if (!sizes_fit || channels < 3 || channels > 4 || orientation < 1 || orientation > 8) {
    return PV_PREPROCESS_ARGUMENT;
  }
  const Upright image = upright_view(pixels, width, height, row_stride, channels, orientation);
  float scale[3], shift[3];
  for (int c = 0; c < 3; c++) {
    scale[c] = 1.0f / (255.0f * std[c]);
    shift[c] = -mean[c] / std[c];
  }
  Filter across = {0}, down = {0};
  int status = filter_make(&across, image.width, out_width);
  if (status == PV_PREPROCESS_OK) status = filter_make(&down, image.height, out_height);
  if (status == PV_PREPROCESS_OK) {
    status = resize(&image, &across, &down, out_height, out_width, scale, shift, out);
  }
  filter_free(&across);
  filter_free(&down);
  return status;
}
