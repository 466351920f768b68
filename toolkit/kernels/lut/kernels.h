/* What an instruction set supplies, and the helpers every part of lut/ shares. Internal. */
#ifndef POCKETVLAD_LUT_KERNELS_H
#define POCKETVLAD_LUT_KERNELS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lut.h"

#define PV_INLINE static inline __attribute__((always_inline))

/* Ahead of a loop over registers: unrolled early, its array lives in registers (gcc 12 copies it about otherwise). */
#if defined(__clang__)
#define PV_UNROLL _Pragma("unroll")
#define PV_UNROLL_16 PV_UNROLL
#else
#define PV_UNROLL _Pragma("GCC unroll 8")
#define PV_UNROLL_16 _Pragma("GCC unroll 16")
#endif

/* Elements of two vectors by index, the second's after the first's; `lanes` is an integer vector of their shape. */
#if defined(__clang__)
#define PV_SHUFFLE(lanes, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define PV_SHUFFLE(lanes, a, b, ...) __builtin_shuffle(a, b, (lanes){__VA_ARGS__})
#endif

/* Functions that follow may use these instructions; the caller has checked the machine. */
#define PV_PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define PV_TARGET_BEGIN(features) \
  PV_PRAGMA(clang attribute push(__attribute__((target(features))), apply_to = function))
#define PV_TARGET_END _Pragma("clang attribute pop")
#else
#define PV_TARGET_BEGIN(features) _Pragma("GCC push_options") PV_PRAGMA(GCC target(features))
#define PV_TARGET_END _Pragma("GCC pop_options")
#endif

/* Dense rows of packed codes that share a codebook, against padded activation rows. */
typedef struct pv_dot {
  const uint8_t* packed;
  size_t row_bytes; /* from row to row */
  int32_t rows, blocks, bits;
  int32_t grid;           /* 8-bit codes that are int8 weights with the top bit flipped */
  const int8_t* levels;   /* [256] int8 centroids (gemv_i8) */
  const float* codebook;  /* [1 << bits] (gemv_f32) */
  const int8_t* x8;       /* [batch, x_stride], in -127..127, x_stride >= 128 * blocks, zero past the columns */
  const float* x;         /* the same in float32 (gemv_f32) */
  size_t x_stride;
  int32_t batch;
} pv_dot;

enum { PV_TILE_ROWS = 8, PV_TILE_PIXELS = 64 }; /* of a convolution tile: output channels, at most output pixels */

/* acc[row, pixel] = sum_k panel[k, row] * x[offsets[k] + pixel]; acc rows lie PV_TILE_PIXELS apart.
 * In gemm_i8 a step k is 4 input channels: panel [steps, PV_TILE_ROWS, 4], x [.., pixel, 4]. */
typedef struct pv_gemm {
  const void* x;
  const int32_t* offsets; /* [steps], in pixels */
  const void* panel;
  int32_t steps;
  int32_t vectors; /* of `lanes` pixels, 1..max_vectors */
  int32_t rows;    /* gemm_f32 may skip the rows from here on, and does if it is 1; the panel has PV_TILE_ROWS of them */
  void* acc;
} pv_gemm;

/* y[i] = activation((value[i] - zero) * scale + bias). */
typedef struct pv_finish {
  float scale, bias;
  int32_t zero, activation;
} pv_finish;

/* What the sums of a tile of tokens become, acc of pv_gemm: y[t, o] = activation((acc[t, o] - offset * sums[t]) *
 * (token[t] * scale[o]) + bias[o]). The scales are what a step of activations and of weights is worth. */
typedef struct pv_token_finish {
  const float* token;
  const int32_t* sums;
  const float *scale, *bias; /* [outputs] */
  int32_t tokens, outputs, offset, activation;
  float* y;
  size_t pitch; /* from token to token */
} pv_token_finish;

/* One sparse row of 1-bit codes against one activation row. */
typedef struct pv_ternary {
  const uint8_t *bitmap, *codes;
  size_t n, code_blocks; /* weights, a multiple of 128; blocks of codes that follow the bitmap */
  const int8_t* levels;  /* [2] */
  const int8_t* x;       /* [n] */
  int32_t x_sum;
} pv_ternary;

/* A tile of PV_TILE rows of a block layer against one activation row. Code q * 64 + r * 4 + b of the tile is what row r
 * keeps of block 4 q + b: its position in the block in the low `position_bits`, then its level. */
typedef struct pv_tile {
  const uint8_t* packed;
  size_t blocks;         /* of PV_BLOCK codes: 8 blocks of weights each */
  int32_t bits;          /* of a code, at most 7 */
  int32_t position_bits; /* 1 to 4 */
  const int8_t* levels;  /* [1 << (bits - position_bits)] */
  const float* codebook; /* the same in float32 */
  const int8_t* x8;      /* zero past the columns, readable for 64 bytes past the last block */
  const float* x;
} pv_tile;

/* An image's activations as 8 bits: clamp(rint(x * inverse), lowest, lowest + 255 or 127) + zero. Signed images use
 * -127..127 around zero = 0; images without a negative value 0..255 from zero = -128. */
typedef struct pv_grid {
  float inverse, scale; /* scale: what one step is worth */
  float lowest, highest;
  int32_t zero; /* the int8 that stands for activation 0 */
} pv_grid;

/* What turns sums into int8 activations: y[r] = clamp(rint((start[r] + sum) * scale[r] + bias[r]), low, high). */
typedef struct pv_i8_finish {
  int32_t start[PV_TILE_ROWS];
  float scale[PV_TILE_ROWS], bias[PV_TILE_ROWS];
  int8_t low, high;
  int8_t bounded; /* whatever the sum, what is rounded fits an int32 */
} pv_i8_finish;

/* A tile of PV_TILE_ROWS output channels over `vectors` * `lanes` pixels: the products of pv_gemm, int8 activations as
 * they are, finished and stored as `quads` (1 or 2) of 4 channels, `pitch` bytes apart. */
typedef struct pv_i8_tile {
  const int8_t* x;
  const int32_t* offsets; /* [steps], in pixels of 4 bytes */
  const int8_t* panel;    /* [steps, PV_TILE_ROWS, 4] */
  int32_t steps, vectors, quads;
  const pv_i8_finish* finish;
  int8_t* y;
  size_t pitch;
  const uint8_t* ahead; /* what will be read soon, `ahead_step` bytes a step: to be asked for, never read */
  size_t ahead_step;    /* PV_LINE or 0 */
} pv_i8_tile;

/* Four rows of a quad, int8 [width, 4] each, turned for a depthwise convolution: a pixel becomes 16 bytes [4 channels,
 * 4 rows]. Pixel i goes to place first + i; place p lies at streams[p % 4], 16 * (p / 4) bytes in. Pixels from `width` on
 * are `fill`, at least up to pixel `end`. Activations are stored plus the kernels' `offset`. */
typedef struct pv_i8_turn {
  const int8_t* rows[4];
  int32_t width, end, first;
  int8_t fill;
  uint8_t* streams;
  size_t pitch; /* from stream to stream */
} pv_i8_turn;

/* `rows` (1 or 2) rows of `count` pixels of a quad of a depthwise convolution. Pixel i meets place i * stride + k * dilation
 * of strip s, four rows of the image, with the weights panel[s, k]. Places are read up to that of the pixel
 * PV_STRIP_PIXELS * ceil(count / PV_STRIP_PIXELS) - 1. */
typedef struct pv_i8_depthwise {
  const uint8_t* strips[3];
  size_t pitch;            /* of their streams */
  const int8_t* panels[2]; /* of each row, [strips, columns, 4 channels, 4 taps] */
  int32_t strip_count, columns, stride, dilation, rows, count; /* stride: 1 or 2 */
  const pv_i8_finish* finish;                                  /* of 4 channels */
  int8_t* y[2];
} pv_i8_depthwise;
enum { PV_STRIP_PIXELS = 16 };

/* y[i] = clamp((a[i] * ma + b[i] * mb + c) >> shift, low, high); ma and mb are at most 2^14. */
typedef struct pv_i8_sum {
  int32_t ma, mb, c, shift;
  int32_t low, high;
} pv_i8_sum;

typedef struct pv_kernels {
  const char* name;
  int (*supported)(void);
  int32_t lanes, max_vectors; /* pixels per vector, vectors per convolution tile */
  uint8_t offset;             /* gemm_i8 reads int8 activations plus this: 0 (as int8) or 128 (as uint8) */
  float (*max_abs)(const float* x, size_t n);
  /* q[i] = clamp(rint(x[i] * inverse), -127, 127) */
  void (*quantize)(const float* x, size_t n, float inverse, int8_t* q);
  /* four channels side by side, dst [n, 4], on the grid plus `offset`; a NULL channel is activation 0 */
  void (*quantize4)(const float* const x[4], size_t n, const pv_grid* grid, uint8_t* dst);
  /* out[i] = table[code i] for 128 * blocks codes */
  void (*decode)(const uint8_t* packed, size_t blocks, int bits, const uint8_t table[256], uint8_t* out);
  /* bytes of rows [4 * depth channels, taps], 64 past them readable -> panel [depth, taps, PV_TILE_ROWS, 4], a tap `pitch`
   * bytes from the next */
  void (*turn)(const int8_t* const rows[PV_TILE_ROWS], int32_t taps, int32_t depth, uint8_t* panel, size_t pitch);
  /* int8 panel [steps, PV_TILE_ROWS, 4] -> the sum of each row */
  void (*panel_sums)(const uint8_t* panel, int32_t steps, int32_t sums[PV_TILE_ROWS]);
  /* sums int32 or float32 [rows, batch] */
  void (*gemv_i8)(const pv_dot* dot, int32_t* sums);
  void (*gemv_f32)(const pv_dot* dot, float* sums);
  void (*tile_i8)(const pv_tile* tile, int32_t sums[PV_TILE]);
  /* the x whose bit is 1, side by side; returns how many; n is a multiple of 128, out has room for n + 64 */
  size_t (*compress_i8)(const int8_t* x, const uint8_t* bitmap, size_t n, int8_t* out);
  size_t (*compress_f32)(const float* x, const uint8_t* bitmap, size_t n, float* out);
  /* Survivors of the row, and their sum if codes follow for all; worker [n / 64 + 4]. NULL: compress_i8 is used. */
  size_t (*ternary_i8)(const pv_ternary* ternary, uint64_t* worker, int32_t* sum);
  void (*gemm_i8)(const pv_gemm* gemm);
  /* each sum a chain of fused products, step after step */
  void (*gemm_f32)(const pv_gemm* gemm);
  void (*finish_i32)(const int32_t* acc, size_t n, const pv_finish* finish, float* y);
  void (*finish_f32)(const float* acc, size_t n, const pv_finish* finish, float* y);
  /* gemm_i8 and what follows it; gemm->acc may hold the sums */
  void (*token_tile)(const pv_gemm* gemm, const pv_token_finish* finish);
  /* x [rows, pitch], `width` columns of it: e^(x - the largest of its column), the largest and the sums of what comes out */
  void (*exponentials)(float* x, int32_t rows, size_t width, size_t pitch, float* largest, float* total);
  /* y = (x - mean) / sqrt(variance + epsilon), times weight, plus bias, where they are not NULL */
  void (*normalize)(const float* x, size_t n, const float* weight, const float* bias, float epsilon, float* y);
  void (*i8_tile)(const pv_i8_tile* tile);
  void (*i8_turn)(const pv_i8_turn* turn);
  void (*i8_depthwise)(const pv_i8_depthwise* depthwise);
  void (*i8_add)(const int8_t* a, const int8_t* b, size_t n, const pv_i8_sum* sum, int8_t* y);
  /* y[i] = bytes [first, first + 4) of the pixels from i * stride on, three bytes each, of which x has four; x is readable
   * for 32 pixels past the last one */
  void (*i8_join)(const int8_t* x, int32_t stride, int32_t first, int32_t count, int8_t* y);
  /* y[i] = max(y[i], x[i]) */
  void (*i8_max)(const int8_t* x, size_t n, int8_t* y);
  /* channel c of n pixels of a quad: y[i] = (x[4 * i + c] - zero) * scale */
  void (*i8_to_float)(const int8_t* x, int32_t c, size_t n, int32_t zero, float scale, float* y);
} pv_kernels;

const pv_kernels* pv_active(void);
/* Whether pv_know_dot_product was called. */
int pv_dot_product_is_known(void);

#define PV_KERNELS(isa) extern const pv_kernels pv_kernels_##isa;
#include "kernels.inc"
#undef PV_KERNELS

/* The turn of 16-byte vectors, conv_panel.c. */
void pv_turn(const int8_t* const rows[PV_TILE_ROWS], int32_t taps, int32_t depth, uint8_t* panel, size_t pitch);

/* Scalar bodies, also the tails and the rare cases of the others. */
float pv_scalar_max_abs(const float* x, size_t n);
void pv_scalar_quantize(const float* x, size_t n, float inverse, int8_t* q);
void pv_scalar_quantize4(const float* const x[4], size_t n, const pv_grid* grid, uint8_t offset, uint8_t* dst);
void pv_scalar_decode(const uint8_t* packed, size_t blocks, int bits, const uint8_t table[256], uint8_t* out);
void pv_scalar_gemv_f32(const pv_dot* dot, float* sums);
void pv_scalar_tile_f32(const pv_tile* tile, float sums[PV_TILE]);
size_t pv_scalar_compress_i8(const int8_t* x, const uint8_t* bitmap, size_t n, int8_t* out);
size_t pv_scalar_compress_f32(const float* x, const uint8_t* bitmap, size_t n, float* out);
void pv_scalar_finish_i32(const int32_t* acc, size_t n, const pv_finish* finish, float* y);
void pv_scalar_finish_f32(const float* acc, size_t n, const pv_finish* finish, float* y);

extern const uint8_t pv_identity[256]; /* the table that decodes a code to itself */

PV_INLINE size_t pv_blocks(size_t codes) { return (codes + PV_BLOCK - 1) / PV_BLOCK; }
PV_INLINE size_t pv_round_up(size_t n, size_t step) { return (n + step - 1) / step * step; }
PV_INLINE int32_t pv_min(int32_t a, int32_t b) { return a < b ? a : b; }

/* Scratch handed in by callers has any alignment; ours starts at the next cache line. */
enum { PV_LINE = 64 };
PV_INLINE uint8_t* pv_align(const void* p) {
  return (uint8_t*)(((uintptr_t)p + PV_LINE - 1) & ~(uintptr_t)(PV_LINE - 1));
}

PV_INLINE int8_t pv_i8_finished(const pv_i8_finish* f, int r, int32_t sum) {
  const float value = (float)(int32_t)((uint32_t)f->start[r] + (uint32_t)sum) * f->scale[r] + f->bias[r];
  const float low = f->low, high = f->high, top = value < high ? value : high;
  return (int8_t)rintf(top > low ? top : low);
}

PV_INLINE float pv_activate(float y, int32_t activation) {
  if (activation != PV_NONE && !(y > 0)) y = y == y ? 0 : y;
  return activation == PV_RELU6 && y > 6 ? 6 : y;
}

/* Where place p of a strip lies, from its first stream. */
PV_INLINE size_t pv_place(int32_t p, size_t pitch) { return (size_t)(p & 3) * pitch + 16 * (size_t)(p >> 2); }

PV_INLINE uint64_t pv_load64(const uint8_t* p) {
  uint64_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

/* Code `i` of a block; the planes are those of packing.py. */
PV_INLINE unsigned pv_code(const uint8_t* block, int bits, int i) {
  if (bits == 8) return block[i];
  unsigned code = 0;
  int shift = 0;
  if (bits & 4) {
    code = (unsigned)(block[i % 64] >> (4 * (i / 64))) & 15u;
    block += 64;
    shift = 4;
  }
  if (bits & 2) {
    code |= ((unsigned)(block[i % 32] >> (2 * (i / 32))) & 3u) << shift;
    block += 32;
    shift += 2;
  }
  if (bits & 1) code |= ((unsigned)(block[i % 16] >> (i / 16)) & 1u) << shift;
  return code;
}

/* layer.c: what a layer's codebook is to the kernels. */
typedef struct pv_levels {
  int8_t level[256]; /* int8 centroids */
  float scale;       /* of one level; 0 for an all-zero codebook */
  int32_t grid;      /* level[i] == max(i - 128, -127) for 8 bits: the codes are the weights */
} pv_levels;
void pv_quantize_codebook(const pv_lut* lut, int32_t group, pv_levels* out);
int32_t pv_rows_per_group(const pv_lut* lut);
int pv_is_flat(const pv_lut* lut); /* whether the layer is one packed row, as convolutions take it */
int32_t pv_position_bits(int32_t block); /* 0: not a size of block */
size_t pv_tile_bytes(const pv_lut* lut);
float pv_activation_inverse(float largest);

/* flat.c: a range of rows of a flat layer, decoded. */
typedef struct pv_flat {
  const pv_lut* lut;
  size_t block;     /* PV_BITMAP_FLAT: the bitmap block that `survivors` counts up to */
  size_t survivors; /* before it */
} pv_flat;
void pv_flat_open(pv_flat* flat, const pv_lut* lut);
/* Weights [first, first + count): table[code], 0 for pruned ones. `out` has room for count + 256 bytes. Returns where in
 * `out` the first weight lies (below 128), or an error. Fastest when `first` ascends from call to call. */
int pv_flat_decode(pv_flat* flat, size_t first, size_t count, const uint8_t table[256], uint8_t* out);
/* The same in float32, codebook [1 << bits]; `out` has room for count + 256 values. */
int pv_flat_decode_f32(pv_flat* flat, size_t first, size_t count, const float* codebook, float* out);

#endif
