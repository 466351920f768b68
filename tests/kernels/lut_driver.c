/* Runs the cases that lut_cases.write_cases wrote: every output is to stay within its budget. */
#include <math.h>

enum { HEADER = 25, ARRAYS = 10 };
enum { PACKED, OFFSETS, CODEBOOK, ROW_SCALE, BIAS, X, CENTROIDS, CENTROID_SCALE, EXPECTED, BUDGET };

#include "driver.h"

static int run_linear(const pv_lut* lut, const int32_t* h, const float* x, float* y) {
  void* scratch = malloc(pv_lut_linear_scratch_bytes(lut, h[2], h[1]));
  void* worker = malloc(pv_lut_linear_worker_bytes(lut, h[2], h[1]) + 1);
  const int32_t middle = lut->rows / 2;
  int error = pv_lut_linear_prepare(lut, x, h[2], h[1], scratch);
  if (!error) error = pv_lut_linear_rows(lut, h[2], h[1], scratch, worker, y, 0, middle);
  if (!error) error = pv_lut_linear_rows(lut, h[2], h[1], scratch, worker, y, middle, lut->rows);
  free(scratch);
  free(worker);
  return error;
}

static int run_conv(const pv_lut* lut, const int32_t* h, const float* x, float* y) {
  const pv_conv conv = {h[10], h[11], h[12], {h[13], h[14]}, {h[15], h[16]}, {h[17], h[18]}, {h[19], h[20]}, h[21],
                        h[22],   h[23],  h[24]};
  int error = pv_conv_check(lut, &conv);
  if (error) return error;
  int32_t size[2];
  pv_conv_out_size(&conv, size);
  const size_t pixels = (size_t)size[0] * (size_t)size[1];
  void* scratch = malloc(pv_lut_conv2d_scratch_bytes(lut, &conv, h[1]));
  void* worker = malloc(pv_lut_conv2d_worker_bytes(lut, &conv, h[1]));
  const int32_t middle = lut->rows / 2;
  for (int32_t n = 0; n < h[2] && !error; n++) {
    error = pv_lut_conv2d_prepare(lut, &conv, x, h[1], scratch);
    if (!error) error = pv_lut_conv2d_rows(lut, &conv, h[1], scratch, worker, y, 0, middle);
    if (!error) error = pv_lut_conv2d_rows(lut, &conv, h[1], scratch, worker, y, middle, lut->rows);
    x += (size_t)conv.channels * (size_t)conv.height * (size_t)conv.width;
    y += (size_t)lut->rows * pixels;
  }
  free(scratch);
  free(worker);
  return error;
}

static int run_vlad(const pv_lut* lut, const test_case* c, const float* x, float* y) {
  const int32_t* h = c->header;
  const pv_vlad vlad = {c->array[CENTROIDS], c->array[CENTROID_SCALE], h[10], h[11], h[12]};
  int error = pv_vlad_check(lut, &vlad);
  if (error) return error;
  void* scratch = malloc(pv_vlad_pool_scratch_bytes(lut, &vlad, h[1]));
  for (int32_t n = 0; n < h[2] && !error; n++) {
    error = pv_vlad_pool(lut, &vlad, x, h[1], scratch, y);
    x += (size_t)vlad.dims * (size_t)vlad.locations;
    y += (size_t)vlad.clusters * (size_t)vlad.dims;
  }
  free(scratch);
  return error;
}

static int failed(const test_case* c, int index) {
  const int32_t* h = c->header;
  const pv_lut lut = {c->array[PACKED], (size_t)c->bytes[PACKED], c->array[OFFSETS], c->array[CODEBOOK],
                      c->array[ROW_SCALE], c->array[BIAS], h[3], h[4], h[5], h[6], h[7], h[8], h[9]};
  const float *expected = c->array[EXPECTED], *budget = c->array[BUDGET];
  float* y = malloc((size_t)c->bytes[EXPECTED]);
  int error = h[0] == 0 ? run_linear(&lut, h, c->array[X], y)
              : h[0] == 1 ? run_conv(&lut, h, c->array[X], y) : run_vlad(&lut, c, c->array[X], y);
  long bad = 0;
  for (int64_t i = 0; !error && i < c->bytes[EXPECTED] / 4; i++) bad += !(fabsf(y[i] - expected[i]) <= budget[i]);
  if (error || bad)
    printf("case %d (op %d, %d bits, fast %d, layout %d): %s, %ld of %ld outputs out of budget\n", index, h[0], h[3],
           h[1], h[7], pv_error_text(error), bad, (long)(c->bytes[EXPECTED] / 4));
  free(y);
  return error || bad;
}

int main(int argc, char** argv) { return drive(argc, argv, failed); }
