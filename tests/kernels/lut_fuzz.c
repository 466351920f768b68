/* libFuzzer targets: bytes nobody packed must be refused or computed, never read past, and every instruction set must
 * agree on the int32 sums. -DPV_FUZZ=linear, conv2d, vlad_pool or int8_conv2d chooses the function. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lut/int8.h"
#include "lut/lut.h"

#define PV_CONCAT(a, b) a##b
#define PV_TARGET(name) PV_CONCAT(run_, name)

enum { HEADER = 16, OUTPUTS = 4096, INPUTS = 21 * 1024 };

typedef struct {
  pv_lut lut;
  const uint8_t* header;
  int fast;
  float x[INPUTS];
} input;

static void* buffer(size_t bytes) { return malloc(bytes ? bytes : 1); }

static __attribute__((unused)) int run_linear(input* in, float* y) {
  pv_lut* lut = &in->lut;
  const int64_t batch = 1 + in->header[6] % 5 * 5; /* tokens too */
  int error = pv_lut_check(lut);
  if (error) return error;
  void *scratch = buffer(pv_lut_linear_scratch_bytes(lut, batch, in->fast)), *worker = buffer(pv_lut_linear_worker_bytes(lut, batch, in->fast));
  error = pv_lut_linear_prepare(lut, in->x, batch, in->fast, scratch);
  if (!error) error = pv_lut_linear_rows(lut, batch, in->fast, scratch, worker, y, 0, lut->rows);
  free(scratch);
  free(worker);
  return error;
}

static __attribute__((unused)) int run_conv2d(input* in, float* y) {
  const uint8_t* h = in->header;
  pv_lut* lut = &in->lut;
  pv_conv c = {1 + h[6] % 9, 1 + h[7] % 12, 1 + h[8] % 12, {1 + h[9] % 4, 1 + h[10] % 4}, {1 + h[11] % 3, 1 + h[12] % 3},
               {h[13] % 3, h[14] % 3}, {1 + h[15] % 2, 1 + h[15] / 2 % 2}, 1 + h[15] / 4 % 3, h[15] / 16 % 4, 1 + h[15] / 64 % 2, h[15] / 128};
  lut->layout = lut->layout == PV_BITMAP ? PV_BITMAP_FLAT : PV_DENSE_FLAT;
  lut->rows = 1 + lut->rows % 12;
  lut->groups = 1 + lut->groups % lut->rows;
  lut->cols = c.channels / c.groups * c.kernel[0] * c.kernel[1];
  int error = pv_conv_check(lut, &c);
  if (error) return error;
  void *scratch = buffer(pv_lut_conv2d_scratch_bytes(lut, &c, in->fast));
  void* worker = buffer(pv_lut_conv2d_worker_bytes(lut, &c, in->fast));
  error = pv_lut_conv2d_prepare(lut, &c, in->x, in->fast, scratch);
  if (!error) error = pv_lut_conv2d_rows(lut, &c, in->fast, scratch, worker, y, 0, lut->rows);
  free(scratch);
  free(worker);
  return error;
}

/* The activations are the bytes of in->x. Every result must be the same bits: `fast` does not matter. */
static __attribute__((unused)) int run_int8_conv2d(input* in, float* y) {
  const uint8_t* h = in->header;
  pv_lut* lut = &in->lut;
  const int32_t channels = 1 + h[6] % 9, depthwise = h[15] & 4;
  const pv_i8_conv c = {channels, 1 + h[7] % 12, 1 + h[8] % 12, {1 + h[9] % 6, 1 + h[10] % 6},
                        {1 + h[11] % 3, 1 + h[12] % 3}, {1 + h[15] % 2, 1 + h[15] / 2 % 2},
                        {h[13] % 4, h[13] / 4 % 4, h[13] / 16 % 4, h[13] / 64}, depthwise ? channels : 1 + h[15] / 8 % 2,
                        {0.01f * (1 + h[14]), (int8_t)h[6]}, {0.05f * (1 + h[7]), (int8_t)h[8]}};
  lut->layout = lut->layout == PV_BITMAP ? PV_BITMAP_FLAT : PV_DENSE_FLAT;
  lut->rows = depthwise ? channels : 1 + lut->rows % 12;
  lut->groups = 1 + lut->groups % lut->rows;
  lut->cols = channels / c.groups * c.kernel[0] * c.kernel[1];
  in->fast = 1;
  int error = pv_i8_conv_check(lut, &c);
  if (error) return error;
  const size_t bytes = 4 * (size_t)((channels + 3) / 4 * c.height * c.width);
  void *scratch = buffer(pv_i8_conv_scratch_bytes(lut, &c)), *worker = buffer(pv_i8_conv_worker_bytes(lut, &c));
  int8_t* x = buffer(bytes); /* to the byte */
  memcpy(x, in->x, bytes);
  error = pv_i8_conv_prepare(lut, &c, scratch);
  pv_i8_conv_planes(lut, &c, x, scratch, 0, pv_i8_conv_planes_count(lut, &c));
  if (!error) error = pv_i8_conv_rows(lut, &c, x, scratch, worker, (int8_t*)y, 0, lut->rows);
  free(scratch);
  free(worker);
  free(x);
  return error;
}

static __attribute__((unused)) int run_vlad_pool(input* in, float* y) {
  pv_lut* lut = &in->lut;
  int8_t centroids[4096];
  float scale[64];
  lut->layout = lut->layout == PV_BITMAP ? PV_BITMAP_FLAT : PV_DENSE_FLAT;
  lut->activation = 0;
  lut->rows = 1 + lut->rows % 40;
  lut->groups = 1 + lut->groups % lut->rows;
  lut->cols = 1 + lut->cols % 40;
  for (int i = 0; i < 4096; i++) centroids[i] = (int8_t)i;
  for (int i = 0; i < 64; i++) scale[i] = 0.001f * (float)i;
  const pv_vlad v = {centroids, scale, lut->rows, lut->cols, 1 + in->header[6] % 50};
  int error = pv_vlad_check(lut, &v);
  if (error) return error;
  void* scratch = buffer(pv_vlad_pool_scratch_bytes(lut, &v, in->fast));
  error = pv_vlad_pool(lut, &v, in->x, in->fast, scratch, y);
  free(scratch);
  return error;
}

/* Header: bits, rows, columns, codebook groups, flags; then row offsets (sparse rows) and the packed bytes. */
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < HEADER) return 0;
  static input in;
  static float codebook[64 * 256], y[2][OUTPUTS];
  const int32_t rows = 1 + data[1] % 17;
  const size_t offset_bytes = data[4] & 2 ? 4 * ((size_t)rows + 1) : 0;
  if (size < HEADER + offset_bytes) return 0;
  int32_t* offsets = offset_bytes ? buffer(offset_bytes) : NULL;
  if (offsets) memcpy(offsets, data + HEADER, offset_bytes);
  const size_t bytes = size - HEADER - offset_bytes;
  uint8_t* packed = buffer(bytes);
  memcpy(packed, data + HEADER + offset_bytes, bytes);
  for (int i = 0; i < 64 * 256; i++) codebook[i] = (float)(i * 37 % 255 - 127);
  for (int i = 0; i < INPUTS; i++) in.x[i] = (float)(i * 53 % 201 - 100) * 0.01f;
  int reference = 0, first = 1;
  for (int i = 0; pv_isa_name(i); i++) {
    if (pv_force_isa(pv_isa_name(i))) continue;
    in.lut = (pv_lut){packed, bytes, offsets, codebook, NULL, NULL, data[0] % 10, data[3] % 4, rows,
                      data[2] + 256 * (data[5] % 4), data[4] & 1 ? PV_BITMAP : data[5] & 128 ? PV_ONE_OF : PV_DENSE,
                      1 << (data[5] / 4 % 8), data[4] / 4 % 4};
    in.header = data;
    in.fast = data[4] >> 7;
    memset(y[!first], 0, sizeof y[0]);
    const int error = PV_TARGET(PV_FUZZ)(&in, y[!first]);
    if (first) reference = error;
    if (error != reference) abort();
    if (!first && !error && in.fast && PV_TARGET(PV_FUZZ) != run_vlad_pool && memcmp(y[0], y[1], sizeof y[0])) abort();
    first = 0;
  }
  pv_force_isa(NULL);
  free(packed);
  free(offsets);
  return 0;
}
