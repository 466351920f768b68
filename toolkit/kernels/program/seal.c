/* The seal: "PVSEAL01", the bytes of the file before it (u64), their XXH64 (u64), and 8 bytes of 0. */
#include <string.h>

#include "parts.h"
#include "check.h"

static const uint64_t PRIME1 = 0x9E3779B185EBCA87, PRIME2 = 0xC2B2AE3D27D4EB4F, PRIME3 = 0x165667B19E3779F9,
                      PRIME4 = 0x85EBCA77C2B2AE63, PRIME5 = 0x27D4EB2F165667C5;

static uint64_t rotate(uint64_t value, int bits) { return value << bits | value >> (64 - bits); }

static uint64_t round64(uint64_t lane, uint64_t input) { return rotate(lane + input * PRIME2, 31) * PRIME1; }

static uint64_t merge(uint64_t hash, uint64_t lane) { return (hash ^ round64(0, lane)) * PRIME1 + PRIME4; }

/* Four lanes over whole stripes of 32 bytes; the hash so far. */
static uint64_t stripes(const uint8_t* data, size_t size) {
  uint64_t lanes[4] = {PRIME1 + PRIME2, PRIME2, 0, 0 - PRIME1};
  for (size_t at = 0; at + 32 <= size; at += 32) {
    for (int i = 0; i < 4; i++) lanes[i] = round64(lanes[i], pv_read64(data + at + 8 * (size_t)i));
  }
  uint64_t hash = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18);
  for (int i = 0; i < 4; i++) hash = merge(hash, lanes[i]);
  return hash;
}

uint64_t pv_xxh64(const uint8_t* data, size_t size) {
  uint64_t hash = (size < 32 ? PRIME5 : stripes(data, size)) + size;
  size_t at = size / 32 * 32;
  for (; at + 8 <= size; at += 8) hash = rotate(hash ^ round64(0, pv_read64(data + at)), 27) * PRIME1 + PRIME4;
  for (; at + 4 <= size; at += 4) hash = rotate(hash ^ pv_read32(data + at) * PRIME1, 23) * PRIME2 + PRIME3;
  for (; at < size; at++) hash = rotate(hash ^ data[at] * PRIME5, 11) * PRIME1;
  hash = (hash ^ hash >> 33) * PRIME2;
  hash = (hash ^ hash >> 29) * PRIME3;
  return hash ^ hash >> 32;
}

static void write64(uint8_t* out, uint64_t value) {
  for (int i = 0; i < 8; i++) out[i] = (uint8_t)(value >> 8 * i);
}

void pv_program_seal(const uint8_t* data, size_t size, uint8_t seal[PV_SEAL]) {
  memcpy(seal, "PVSEAL01", 8);
  write64(seal + 8, size);
  write64(seal + 16, pv_xxh64(data, size));
  write64(seal + 24, 0);
}

int pv_seal_holds(const uint8_t* data, uint64_t size) {
  uint8_t expected[PV_SEAL];
  pv_program_seal(data, (size_t)size - PV_SEAL, expected);
  return !memcmp(data + size - PV_SEAL, expected, PV_SEAL);
}
