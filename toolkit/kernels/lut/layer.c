/* What all ops share: checks of a layer, its codebook as int8, the names of errors. */
#include <math.h>

#include "kernels.h"

const char* pv_error_text(int error) {
  switch (error) {
    case PV_OK: return "ok";
    case PV_ERROR_BITS: return "bits per code must be 1 to 8";
    case PV_ERROR_SHAPE: return "the layer's shape is not one these kernels take";
    case PV_ERROR_PACKED: return "the packed bytes are fewer than the shape needs";
    case PV_ERROR_OFFSETS: return "the row offsets descend, are unaligned or leave the packed bytes";
    case PV_ERROR_SURVIVORS: return "a bitmap has more survivors than codes follow it";
    case PV_ERROR_RANGE: return "the row range leaves the layer";
    case PV_ERROR_ACTIVATION: return "activation must be 0 (none), 1 (ReLU) or 2 (ReLU6)";
    case PV_ERROR_MEMORY: return "no memory for scratch";
    case PV_ERROR_BLOCK: return "blocks must be 2, 4, 8 or 16 long, with at most 7 bits a block";
    case PV_ERROR_LAYOUT: return "the layout is unknown or not one this op takes";
    case PV_ERROR_GRID: return "a grid of activations needs a positive scale and an int8 for zero";
    default: return "unknown error";
  }
}

int32_t pv_rows_per_group(const pv_lut* lut) { return lut->rows / lut->groups + (lut->rows % lut->groups != 0); }

/* 127 / max|x|: what takes activations onto int8; 0 for an all-zero image. */
float pv_activation_inverse(float largest) { return largest > 0 ? 127.0f / largest : 0.0f; }

int32_t pv_position_bits(int32_t block) { return block == 2 ? 1 : block == 4 ? 2 : block == 8 ? 3 : block == 16 ? 4 : 0; }

/* Bytes of one tile of a block layer. */
size_t pv_tile_bytes(const pv_lut* lut) {
  const size_t blocks = ((size_t)lut->cols + (size_t)lut->block - 1) / (size_t)lut->block;
  return pv_blocks(pv_round_up(blocks, 4) * PV_TILE) * 16 * (size_t)(lut->bits + pv_position_bits(lut->block));
}

static int check_dense(const pv_lut* lut, size_t rows, size_t blocks) {
  return lut->packed_bytes >= rows * blocks * 16 * (size_t)lut->bits ? PV_OK : PV_ERROR_PACKED;
}

static int check_bitmap(const pv_lut* lut, size_t blocks) {
  if (!lut->row_offsets) return PV_ERROR_OFFSETS;
  for (size_t r = 0; r < (size_t)lut->rows; r++) {
    const int64_t begin = lut->row_offsets[r], end = lut->row_offsets[r + 1];
    if (begin < 0 || begin % 16 || end < begin || (size_t)end > lut->packed_bytes) return PV_ERROR_OFFSETS;
    if ((size_t)(end - begin) < 16 * blocks) return PV_ERROR_PACKED;
  }
  return PV_OK;
}

static int check_one_of(const pv_lut* lut) {
  const int32_t position = pv_position_bits(lut->block);
  if (!position || lut->bits + position > 7) return PV_ERROR_BLOCK;
  if (lut->groups > 1 && pv_rows_per_group(lut) % PV_TILE) return PV_ERROR_SHAPE;
  const size_t tiles = ((size_t)lut->rows + PV_TILE - 1) / PV_TILE;
  return lut->packed_bytes >= tiles * pv_tile_bytes(lut) ? PV_OK : PV_ERROR_PACKED;
}

static int check_bytes(const pv_lut* lut) {
  const size_t row_blocks = pv_blocks((size_t)lut->cols), all_blocks = pv_blocks((size_t)lut->rows * (size_t)lut->cols);
  switch (lut->layout) {
    case PV_DENSE: return check_dense(lut, (size_t)lut->rows, row_blocks);
    case PV_DENSE_FLAT: return check_dense(lut, 1, all_blocks);
    case PV_BITMAP: return check_bitmap(lut, row_blocks);
    case PV_BITMAP_FLAT: return lut->packed_bytes >= 16 * all_blocks ? PV_OK : PV_ERROR_PACKED;
    case PV_ONE_OF: return check_one_of(lut);
    default: return PV_ERROR_LAYOUT;
  }
}

int pv_is_flat(const pv_lut* lut) { return lut->layout == PV_DENSE_FLAT || lut->layout == PV_BITMAP_FLAT; }

int pv_lut_check(const pv_lut* lut) {
  if (lut->bits < 1 || lut->bits > 8) return PV_ERROR_BITS;
  if (lut->activation < PV_NONE || lut->activation > PV_RELU6) return PV_ERROR_ACTIVATION;
  if (lut->rows < 1 || lut->cols < 1 || lut->cols > PV_MAX_COLS) return PV_ERROR_SHAPE;
  if (lut->groups < 1 || lut->groups > lut->rows) return PV_ERROR_SHAPE;
  return check_bytes(lut);
}

void pv_quantize_codebook(const pv_lut* lut, int32_t group, pv_levels* out) {
  const size_t size = (size_t)1 << lut->bits;
  const float* codebook = lut->codebook + (size_t)group * size;
  const float largest = pv_scalar_max_abs(codebook, size);
  memset(out, 0, sizeof *out);
  out->scale = largest / 127.0f;
  pv_scalar_quantize(codebook, size, pv_activation_inverse(largest), out->level);
  out->grid = lut->bits == 8;
  for (int i = 0; i < 256 && out->grid; i++) out->grid = out->level[i] == (i ? i - 128 : -127);
}
