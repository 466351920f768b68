/* Runs the cases that int8_cases.write_cases wrote: the same bits are asked for. */
enum { SCALES = 3, FIRST_SCALE = 26, HEADER = FIRST_SCALE + SCALES, ARRAYS = 7 }; /* the scales are float32 */
enum { PACKED, CODEBOOK, ROW_SCALE, BIAS, X, SECOND, EXPECTED };
enum { CONV, ADD, POOL, FROM_FLOAT, TO_FLOAT };

#include "driver.h"
#include "lut/int8.h"

static void* exactly(size_t bytes) { return malloc(bytes ? bytes : 1); }

static int run_conv(const test_case* c, const pv_i8_grid grids[SCALES], int8_t* y) {
  const int32_t* h = c->header + 7;
  const pv_lut lut = {.packed = c->array[PACKED], .packed_bytes = (size_t)c->bytes[PACKED], .codebook = c->array[CODEBOOK],
                      .row_scale = c->array[ROW_SCALE], .bias = c->array[BIAS], .bits = h[0], .groups = h[1],
                      .rows = h[2], .cols = h[3], .layout = h[4], .activation = h[16]};
  const pv_i8_conv conv = {c->header[4], c->header[5], c->header[6], {h[5], h[6]}, {h[7], h[8]}, {h[9], h[10]},
                           {h[11], h[12], h[13], h[14]}, h[15], grids[0], grids[1]};
  int error = pv_i8_conv_check(&lut, &conv);
  if (error) return error;
  void *scratch = exactly(pv_i8_conv_scratch_bytes(&lut, &conv)), *worker = exactly(pv_i8_conv_worker_bytes(&lut, &conv));
  const int32_t planes = pv_i8_conv_planes_count(&lut, &conv), middle = lut.rows / 2 / PV_CONV_STEP * PV_CONV_STEP;
  error = pv_i8_conv_prepare(&lut, &conv, scratch);
  if (planes) pv_i8_conv_planes(&lut, &conv, c->array[X], scratch, 0, planes / 2);
  if (planes) pv_i8_conv_planes(&lut, &conv, c->array[X], scratch, planes / 2, planes);
  if (!error) error = pv_i8_conv_rows(&lut, &conv, c->array[X], scratch, worker, y, 0, middle);
  if (!error) error = pv_i8_conv_rows(&lut, &conv, c->array[X], scratch, worker, y, middle, lut.rows);
  free(scratch);
  free(worker);
  return error;
}

static int run_pool(const test_case* c, int8_t* y) {
  const int32_t* h = c->header + 4;
  const pv_i8_pool pool = {h[0], h[1], h[2], h[3], h[4], h[5], h[6]};
  int error = pv_i8_pool_check(&pool);
  if (error) return error;
  void* worker = exactly(pv_i8_pool_worker_bytes(&pool));
  error = pv_i8_max_pool(&pool, c->array[X], worker, y, 0, pool.quads);
  free(worker);
  return error;
}

static int run(const test_case* c, void* y) {
  const int32_t* h = c->header;
  const size_t pixels = (size_t)h[5] * (size_t)h[6];
  pv_i8_grid grids[SCALES];
  for (int i = 0; i < SCALES; i++) {
    memcpy(&grids[i].scale, &h[FIRST_SCALE + i], sizeof(float));
    grids[i].zero = h[1 + i];
  }
  switch (h[0]) {
    case CONV: return run_conv(c, grids, y);
    case ADD: return pv_i8_add(c->array[X], &grids[0], c->array[SECOND], &grids[1], &grids[2], h[7], (size_t)h[8], y);
    case POOL: return run_pool(c, y);
    case FROM_FLOAT: return pv_i8_from_float(c->array[X], h[4], pixels, &grids[0], y, 0, (h[4] + 3) / 4);
    default: return pv_i8_to_float(c->array[X], h[4], pixels, &grids[0], y, 0, (h[4] + 3) / 4);
  }
}

static int failed(const test_case* c, int index) {
  const size_t bytes = (size_t)c->bytes[EXPECTED];
  void* y = malloc(bytes);
  const int error = run(c, y), bad = !error && memcmp(y, c->array[EXPECTED], bytes);
  if (error || bad)
    printf("case %d (op %d): %s%s\n", index, c->header[0], pv_error_text(error), bad ? ", other bits" : "");
  free(y);
  return error || bad;
}

int main(int argc, char** argv) { return drive(argc, argv, failed); }
