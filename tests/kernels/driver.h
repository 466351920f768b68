/* What the drivers share: cases from a file, each HEADER int32 and ARRAYS arrays after their byte counts, on one instruction
 * set: `DRIVER CASES [ISA]`. The includer defines both numbers.
 * Exit 0: all as expected; 1: not; 2: unusable file; 77: this machine lacks the instruction set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lut/lut.h"

typedef struct {
  int32_t header[HEADER];
  void* array[ARRAYS]; /* each allocated to the byte, so that a sanitizer sees the first one past it */
  int64_t bytes[ARRAYS];
} test_case;

static int read_case(FILE* file, test_case* c) {
  if (fread(c->header, sizeof c->header, 1, file) != 1) return 0;
  for (int i = 0; i < ARRAYS; i++) {
    if (fread(&c->bytes[i], 8, 1, file) != 1) exit(2);
    c->array[i] = c->bytes[i] ? malloc((size_t)c->bytes[i]) : NULL;
    if (c->bytes[i] && fread(c->array[i], (size_t)c->bytes[i], 1, file) != 1) exit(2);
  }
  return 1;
}

/* `failed` says whether a case fails, and prints why. */
static int drive(int argc, char** argv, int (*failed)(const test_case* c, int index)) {
  if (argc > 2 && pv_force_isa(argv[2])) return 77;
  FILE* file = argc > 1 ? fopen(argv[1], "rb") : NULL;
  if (!file) return 2;
  test_case c;
  int failures = 0, count = 0;
  for (; read_case(file, &c); count++) {
    failures += failed(&c, count);
    for (int i = 0; i < ARRAYS; i++) free(c.array[i]);
  }
  fclose(file);
  printf("%s: %d cases, %d failed\n", pv_isa(), count, failures);
  return failures || !count;
}
