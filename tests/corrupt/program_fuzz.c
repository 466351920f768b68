/* libFuzzer target: any bytes are a program by the rules, or are refused by one of them; nothing past them is read.
 * One input in two is sealed first: behind a seal lies what the file's maker wrote, sound or not. */
#include <stdlib.h>
#include <string.h>

#include "program/check.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const size_t seal = size % 2 ? PV_SEAL : 0;
  uint8_t* exact = malloc(size + seal + !(size + seal));
  memcpy(exact, data, size);
  if (seal) pv_program_seal(exact, size, exact + size);
  int sealed = 0;
  const int rule = pv_program_check(exact, size + seal, &sealed);
  if (rule < 0 || (rule && !*pv_program_rule(rule))) abort();
  free(exact);
  return 0;
}
