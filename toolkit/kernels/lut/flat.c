/* Ranges of a flat layer (a convolution's weights are one packed row) decoded into plain weights. */
#include "kernels.h"

void pv_flat_open(pv_flat* flat, const pv_lut* lut) { *flat = (pv_flat){lut, 0, 0}; }

static size_t total_blocks(const pv_lut* lut) { return pv_blocks((size_t)lut->rows * (size_t)lut->cols); }

static size_t block_survivors(const pv_lut* lut, size_t block) {
  const uint8_t* bits = lut->packed + 16 * block;
  return (size_t)(__builtin_popcountll(pv_load64(bits)) + __builtin_popcountll(pv_load64(bits + 8)));
}

/* Survivors before `block`, counted from where the last call stood. */
static size_t seek(pv_flat* flat, size_t block) {
  for (; flat->block < block; flat->block++) flat->survivors += block_survivors(flat->lut, flat->block);
  while (flat->block > block) flat->survivors -= block_survivors(flat->lut, --flat->block);
  return flat->survivors;
}

/* table[code] of the survivors of one bitmap block, at least `count` bytes from *where in `out` (384 bytes). */
static int decode_survivors(pv_flat* flat, size_t block, const uint8_t table[256], uint8_t* out, size_t* where) {
  const pv_lut* lut = flat->lut;
  const size_t code_bytes = 16 * (size_t)lut->bits, mask = 16 * total_blocks(lut);
  const size_t capacity = (lut->packed_bytes - mask) / code_bytes * PV_BLOCK;
  const size_t first = seek(flat, block), count = block_survivors(lut, block);
  if (first + count > capacity) return PV_ERROR_SURVIVORS;
  const size_t from = first / PV_BLOCK, to = pv_blocks(first + count);
  *where = first % PV_BLOCK;
  pv_active()->decode(lut->packed + mask + from * code_bytes, to - from, lut->bits, table, out);
  return PV_OK;
}

int pv_flat_decode(pv_flat* flat, size_t first, size_t count, const uint8_t table[256], uint8_t* out) {
  const pv_lut* lut = flat->lut;
  const size_t from = first / PV_BLOCK, to = pv_blocks(first + count), code_bytes = 16 * (size_t)lut->bits;
  if (lut->layout == PV_DENSE_FLAT) {
    pv_active()->decode(lut->packed + from * code_bytes, to - from, lut->bits, table, out);
    return (int)(first % PV_BLOCK);
  }
  uint8_t codes[3 * PV_BLOCK];
  memset(out, 0, (to - from) * PV_BLOCK);
  for (size_t block = from; block < to; block++, out += PV_BLOCK) {
    size_t at = 0;
    const int error = decode_survivors(flat, block, table, codes, &at);
    if (error) return error;
    for (size_t half = 0; half < 2; half++)
      for (uint64_t bits = pv_load64(lut->packed + 16 * block + 8 * half); bits; bits &= bits - 1)
        out[64 * half + (size_t)__builtin_ctzll(bits)] = codes[at++];
  }
  return (int)(first % PV_BLOCK);
}

int pv_flat_decode_f32(pv_flat* flat, size_t first, size_t count, const float* codebook, float* out) {
  const pv_lut* lut = flat->lut;
  const size_t from = first / PV_BLOCK, to = pv_blocks(first + count), code_bytes = 16 * (size_t)lut->bits;
  uint8_t codes[3 * PV_BLOCK];
  for (size_t block = from; block < to; block++, out += PV_BLOCK) {
    if (lut->layout == PV_DENSE_FLAT) {
      pv_active()->decode(lut->packed + block * code_bytes, 1, lut->bits, pv_identity, codes);
      for (int i = 0; i < PV_BLOCK; i++) out[i] = codebook[codes[i]];
      continue;
    }
    size_t at = 0;
    const int error = decode_survivors(flat, block, pv_identity, codes, &at);
    if (error) return error;
    memset(out, 0, PV_BLOCK * sizeof(float));
    for (size_t half = 0; half < 2; half++)
      for (uint64_t bits = pv_load64(lut->packed + 16 * block + 8 * half); bits; bits &= bits - 1)
        out[64 * half + (size_t)__builtin_ctzll(bits)] = codebook[codes[at++]];
  }
  return (int)(first % PV_BLOCK);
}
