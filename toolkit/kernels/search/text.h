/* UTF-8 from bytes nobody vouches for. */
#ifndef POCKETVLAD_TEXT_H
#define POCKETVLAD_TEXT_H

#include <stdint.h>

/* Bytes of the code point at text, 0 if it is none: the shortest form only, no surrogates, up to U+10FFFF. */
static inline uint64_t pv_utf8_step(const uint8_t* text, uint64_t left) {
  const uint8_t first = text[0];
  if (first < 0x80) return 1;
  const uint64_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || bytes > left) return 0;
  for (uint64_t i = 1; i < bytes; i++) {
    if ((text[i] & 0xc0) != 0x80) return 0;
  }
  const uint8_t second = text[1];
  if (first == 0xe0 && second < 0xa0) return 0;
  if (first == 0xed && second > 0x9f) return 0;
  if (first == 0xf0 && second < 0x90) return 0;
  return first == 0xf4 && second > 0x8f ? 0 : bytes;
}

/* Whether bytes are UTF-8, without control characters where those are not allowed. */
static inline int pv_is_text(const uint8_t* text, uint64_t bytes, int controls_allowed) {
  for (uint64_t i = 0, step; i < bytes; i += step) {
    if (!controls_allowed && (text[i] < 0x20 || text[i] == 0x7f)) return 0;
    step = pv_utf8_step(text + i, bytes - i);
    if (!step) return 0;
  }
  return 1;
}

#endif
