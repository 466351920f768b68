/* Which kernels run: the best this machine supports, or the one a test asked for. */
#include "kernels.h"

#define PV_KERNELS(isa) &pv_kernels_##isa,
static const pv_kernels* const pv_list[] = {
#include "kernels.inc"
    NULL};
#undef PV_KERNELS

static const pv_kernels* pv_chosen;
static int pv_dot_product_known;

const pv_kernels* pv_active(void) {
  const pv_kernels* chosen = __atomic_load_n(&pv_chosen, __ATOMIC_ACQUIRE);
  if (chosen) return chosen;
  int best = 0;
  while (!pv_list[best]->supported()) best++;
  __atomic_store_n(&pv_chosen, pv_list[best], __ATOMIC_RELEASE);
  return pv_list[best];
}

void pv_know_dot_product(void) { __atomic_store_n(&pv_dot_product_known, 1, __ATOMIC_RELEASE); }

int pv_dot_product_is_known(void) { return __atomic_load_n(&pv_dot_product_known, __ATOMIC_ACQUIRE); }

const char* pv_isa(void) { return pv_active()->name; }

const char* pv_isa_name(int index) {
  const int count = (int)(sizeof pv_list / sizeof pv_list[0]) - 1;
  return index >= 0 && index < count ? pv_list[index]->name : NULL;
}

int pv_force_isa(const char* name) {
  const pv_kernels* found = NULL;
  for (int i = 0; name && pv_list[i]; i++)
    if (!strcmp(pv_list[i]->name, name) && pv_list[i]->supported()) found = pv_list[i];
  if (name && !found) return -1;
  __atomic_store_n(&pv_chosen, found, __ATOMIC_RELEASE);
  return 0;
}
