/* Runs the cases that attention_cases.write_cases wrote: the same bits are asked for. */
enum { HEADER = 6, ARRAYS = 4 }; /* the last of the header is float32 */
enum { X, WEIGHT, BIAS, EXPECTED };
enum { KIND, COUNT, TOKENS, WIDTH, HEADS, VALUE };

#include "driver.h"
#include "lut/attention.h"

static int run_attention(const test_case* c, float value, float* y) {
  const int32_t* h = c->header;
  const pv_attention a = {h[TOKENS], h[HEADS], h[WIDTH] / (3 * h[HEADS]), value};
  int error = pv_attention_check(&a);
  const float* x = c->array[X];
  for (int32_t n = 0; n < h[COUNT] && !error; n++, x += h[TOKENS] * h[WIDTH], y += h[TOKENS] * h[WIDTH] / 3) {
    void* worker = malloc(pv_attention_worker_bytes(&a));
    const int32_t parts = pv_attention_parts(&a);
    error = pv_attention_rows(&a, x, worker, y, 0, parts / 2);
    if (!error) error = pv_attention_rows(&a, x, worker, y, parts / 2, parts);
    free(worker);
  }
  return error;
}

static int failed(const test_case* c, int index) {
  const int32_t* h = c->header;
  const size_t bytes = (size_t)c->bytes[EXPECTED];
  float value, *y = malloc(bytes);
  memcpy(&value, &h[VALUE], sizeof value);
  const int error = h[KIND] == 0 ? run_attention(c, value, y)
                                 : pv_layer_norm(c->array[X], h[WIDTH], c->array[WEIGHT], c->array[BIAS], value, y, 0, h[COUNT]);
  const int bad = !error && memcmp(y, c->array[EXPECTED], bytes);
  if (error || bad) printf("case %d (op %d): %s%s\n", index, h[KIND], pv_error_text(error), bad ? ", other bits" : "");
  free(y);
  return error || bad;
}

int main(int argc, char** argv) { return drive(argc, argv, failed); }
