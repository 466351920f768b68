/* The choice of lut/dispatch.c without its kernels, which take minutes to compile under sanitizers. */
#include <string.h>
#include "lut/lut.h"
#if defined(__x86_64__)
#include "lut/x86.h"
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif
static const char* const names[] = {
#define PV_KERNELS(isa) #isa,
#include "lut/kernels.inc"
    NULL};
static const char* chosen = "scalar";
static int runs(const char* name) {
#if defined(__x86_64__)
  if (!strcmp(name, "avx2")) return pv_x86_has_avx2();
  if (!strcmp(name, "avx512vnni")) return pv_x86_has_avx512vnni();
#elif defined(__aarch64__)
  if (!strcmp(name, "neon_i8mm")) return (getauxval(AT_HWCAP2) >> 13) & 1;
  if (!strcmp(name, "neon_dotprod")) return (getauxval(AT_HWCAP) >> 20) & 1;
#endif
  return 1;
}
const char* pv_isa(void) { return chosen; }
const char* pv_isa_name(int i) { return names[i]; }
int pv_force_isa(const char* name) {
  for (int i = 0; name && names[i]; i++)
    if (!strcmp(names[i], name) && runs(name)) return chosen = names[i], 0;
  return -1;
}
