/* What an instruction set supplies to the search. Internal. */
#ifndef POCKETVLAD_SEARCH_KERNELS_H
#define POCKETVLAD_SEARCH_KERNELS_H

#include <stdint.h>

#include "../lut/kernels.h"

typedef struct pv_search_kernels {
  const char* name; /* as in lut/kernels.inc */
  float (*dot_f32)(const float* a, const float* b, int32_t n);
  float (*dot_f16)(const float* a, const uint16_t* b, int32_t n);
  float (*dot_f32_i8)(const float* a, const int8_t* b, int32_t n);
  /* int32 sum of products of values in -127..127 */
  int32_t (*dot_i8)(const int8_t* a, const int8_t* b, int32_t n);
} pv_search_kernels;

/* The kernels of the instruction set pv_isa() names. */
const pv_search_kernels* pv_search_active(void);

float pv_half_to_float(uint16_t half);

#define PV_KERNELS(isa) extern const pv_search_kernels pv_search_kernels_##isa;
#include "../lut/kernels.inc"
#undef PV_KERNELS

#endif
