/* Which x86 instruction sets this machine has, the operating system's part included. Internal. */
#ifndef POCKETVLAD_LUT_X86_H
#define POCKETVLAD_LUT_X86_H

#include <cpuid.h>
#include <stdint.h>

/* An accumulator between its loop and a use as another type: without, gcc 12 keeps two copies of it through the loop. */
#define PV_SETTLE(x) __asm__("" : "+v"(x))

static inline uint64_t pv_xgetbv(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return ((uint64_t)high << 32) | low;
}

/* CPUID leaf 7 (ebx, ecx) if the operating system saves the registers in `state` (XCR0 bits), else zeros. */
static inline void pv_x86_leaf7(uint64_t state, uint32_t out[2]) {
  uint32_t a, b, c, d;
  out[0] = out[1] = 0;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return;
  const uint32_t needed = (1u << 12) | (1u << 27) | (1u << 23); /* FMA, OSXSAVE, POPCNT */
  if ((c & needed) != needed || (pv_xgetbv() & state) != state) return;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    out[0] = b;
    out[1] = c;
  }
}

static inline int pv_x86_has_avx2(void) {
  uint32_t leaf[2];
  pv_x86_leaf7(0x6, leaf);
  return (leaf[0] >> 5) & 1;
}

/* BMI2, F, DQ, BW, VL; VBMI, VBMI2, VNNI. */
static inline int pv_x86_has_avx512vnni(void) {
  const uint32_t ebx = (1u << 8) | (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);
  const uint32_t ecx = (1u << 1) | (1u << 6) | (1u << 11);
  uint32_t leaf[2];
  pv_x86_leaf7(0xe6, leaf);
  return (leaf[0] & ebx) == ebx && (leaf[1] & ecx) == ecx;
}

#endif
