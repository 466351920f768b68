#include "preprocess.h"

#include <math.h>
#include <stdlib.h>

enum { LARGEST_SIDE = 1 << 20, LARGEST_OUTPUT = 16384, BLOCK = 1024 };

/* For each output position: the first input position, how many, and that many weights, which sum to 1. */
typedef struct {
  int taps; /* weights set aside for each position */
  int* first;
  int* count;
  float* weights; /* [size, taps] */
} Filter;

static void filter_free(Filter* filter) {
  free(filter->first);
  free(filter->count);
  free(filter->weights);
}

/* The triangle of half width max(1, in / out) input pixels around each output pixel's centre (Pillow's BILINEAR). */
static void filter_position(Filter* filter, int i, int in_size, double ratio) {
  const double support = ratio > 1 ? ratio : 1, centre = (i + 0.5) * ratio;
  int first = (int)(centre - support + 0.5), end = (int)(centre + support + 0.5);
  if (first < 0) first = 0;
  if (end > in_size) end = in_size;
  float* weights = filter->weights + (size_t)i * (size_t)filter->taps;
  double sum = 0;
  for (int j = first; j < end; j++) sum += fmax(0, 1 - fabs((j - centre + 0.5) / support));
  for (int j = first; j < end; j++) {
    weights[j - first] = (float)(fmax(0, 1 - fabs((j - centre + 0.5) / support)) / sum);
  }
  filter->first[i] = first;
  filter->count[i] = end - first;
}

static int filter_make(Filter* filter, int in_size, int out_size) {
  const double ratio = (double)in_size / out_size;
  const size_t size = (size_t)out_size;
  filter->taps = (int)ceil(ratio > 1 ? ratio : 1) * 2 + 1;
  filter->first = malloc(size * sizeof(int));
  filter->count = malloc(size * sizeof(int));
  filter->weights = malloc(size * (size_t)filter->taps * sizeof(float));
  if (!filter->first || !filter->count || !filter->weights) return PV_PREPROCESS_MEMORY;
  for (int i = 0; i < out_size; i++) filter_position(filter, i, in_size, ratio);
  return PV_PREPROCESS_OK;
}

/* Where the stored image's output pixel (row, column) belongs in the upright output plane. */
typedef struct {
  ptrdiff_t origin, row, column;
} Placement;

static Placement placement(int orientation, int out_height, int out_width) {
  const ptrdiff_t right = out_width - 1, line = out_width, bottom = (ptrdiff_t)(out_height - 1) * out_width;
  switch (orientation) {
    case 2: return (Placement){right, line, -1};           /* mirrored */
    case 3: return (Placement){bottom + right, -line, -1}; /* turned by 180 degrees */
    case 4: return (Placement){bottom, -line, 1};          /* upside down */
    case 5: return (Placement){0, 1, line};                /* transposed */
    case 6: return (Placement){right, -1, line};           /* to be turned 90 degrees clockwise */
    case 7: return (Placement){bottom + right, -1, -line}; /* transverse */
    case 8: return (Placement){bottom, 1, -line};          /* to be turned 90 degrees counter-clockwise */
    default: return (Placement){0, line, 1};
  }
}

/* sums[x] = sum_j weights[j] * rows[j][x], by blocks that stay in the first cache. */
static void combine_rows(const uint8_t* rows, size_t row_stride, size_t size, const float* weights, int count,
                         float* sums) {
  for (size_t begin = 0; begin < size; begin += BLOCK) {
    const size_t block = size - begin < BLOCK ? size - begin : BLOCK;
    float* sum = sums + begin;
    for (size_t x = 0; x < block; x++) sum[x] = 0;
    for (int j = 0; j < count; j++) {
      const uint8_t* row = rows + (size_t)j * row_stride + begin;
      const float weight = weights[j];
      for (size_t x = 0; x < block; x++) sum[x] += weight * row[x];
    }
  }
}

/* One combined row, float32 [width, channels], to one line of each output plane. */
static void resize_row(const float* row, int channels, const Filter* across, int columns, const float* scale,
                       const float* shift, ptrdiff_t step, size_t plane, float* out) {
  for (int x = 0; x < columns; x++, out += step) {
    const float* weights = across->weights + (size_t)x * (size_t)across->taps;
    const float* pixel = row + (size_t)across->first[x] * (size_t)channels;
    float red = 0, green = 0, blue = 0;
    for (int j = 0; j < across->count[x]; j++, pixel += channels) {
      red += weights[j] * pixel[0];
      green += weights[j] * pixel[1];
      blue += weights[j] * pixel[2];
    }
    out[0] = red * scale[0] + shift[0];
    out[plane] = green * scale[1] + shift[1];
    out[2 * plane] = blue * scale[2] + shift[2];
  }
}

static int arguments_fit(int width, int height, size_t row_stride, int channels, int orientation, int out_height,
                         int out_width, const float* std) {
  return width > 0 && height > 0 && width <= LARGEST_SIDE && height <= LARGEST_SIDE && out_height > 0 &&
         out_width > 0 && out_height <= LARGEST_OUTPUT && out_width <= LARGEST_OUTPUT &&
         (channels == 3 || channels == 4) && row_stride >= (size_t)width * (size_t)channels && orientation >= 1 &&
         orientation <= 8 && std[0] > 0 && std[1] > 0 && std[2] > 0;
}

int pv_preprocess(const uint8_t* pixels, int width, int height, size_t row_stride, int channels,
                  int orientation, int out_height, int out_width, const float mean[3], const float std[3],
                  float* out) {
  if (!arguments_fit(width, height, row_stride, channels, orientation, out_height, out_width, std)) {
    return PV_PREPROCESS_ARGUMENT;
  }
  /* The image is resized as it is stored, reading its rows in order, and turned while it is written. */
  const int turned = orientation >= 5, lines = turned ? out_width : out_height;
  const int columns = turned ? out_height : out_width;
  const Placement place = placement(orientation, out_height, out_width);
  const size_t plane = (size_t)out_height * (size_t)out_width, row_size = (size_t)width * (size_t)channels;
  const float scale[3] = {1 / (255 * std[0]), 1 / (255 * std[1]), 1 / (255 * std[2])};
  const float shift[3] = {-mean[0] / std[0], -mean[1] / std[1], -mean[2] / std[2]};
  Filter across = {0}, down = {0};
  float* row = malloc(row_size * sizeof(float));
  int status = row ? PV_PREPROCESS_OK : PV_PREPROCESS_MEMORY;
  if (status == PV_PREPROCESS_OK) status = filter_make(&across, width, columns);
  if (status == PV_PREPROCESS_OK) status = filter_make(&down, height, lines);
  for (int y = 0; status == PV_PREPROCESS_OK && y < lines; y++) {
    combine_rows(pixels + (size_t)down.first[y] * row_stride, row_stride, row_size,
                 down.weights + (size_t)y * (size_t)down.taps, down.count[y], row);
    resize_row(row, channels, &across, columns, scale, shift, place.column, plane,
               out + place.origin + y * place.row);
  }
  filter_free(&across);
  filter_free(&down);
  free(row);
  return status;
}
