/* Layers whose weights are packed codes: weight[o, i] = codebook[o / rows_per_group][code[o, i]] * row_scale[o].
 *
 * The bytes are those of pocketvlad/lut/packing.py and lut/layouts, the arithmetic that of pocketvlad/lut/reference.py:
 * `exact` = float32 centroids and sums; `fast` = int8 activations (one scale per batch row or image), int8
 * centroids (one scale per codebook group), int32 sums, the same bits on every instruction set.
 *
 * There are no threads and no allocation here: a call is prepared once (`..._prepare`, into shared scratch) and
 * then computed by ranges of output rows, each range with worker scratch of its own. Scratch needs no alignment.
 * Functions return 0 or one of the negative PV_ERROR codes; on an error the output is unspecified.
 */
#ifndef POCKETVLAD_LUT_H
#define POCKETVLAD_LUT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { PV_BLOCK = 128 };            /* codes per packed block of 16 * bits bytes */
enum { PV_MAX_COLS = 131072 };      /* int32 sums of 127 * 127 products hold 133,144 terms */
enum { PV_TILE = 16 };              /* rows packed together in a block layer */
enum { PV_NONE = 0, PV_RELU = 1, PV_RELU6 = 2 };

/* How a layer is packed, a file each in pocketvlad/lut/layouts. Flat layers (convolutions) are one packed row of
 * rows * cols weights. Programs hold these numbers. */
typedef enum pv_layout {
  PV_DENSE = 0,
  PV_DENSE_FLAT = 1,
  PV_BITMAP = 2, /* each row a bitmap and the codes of the weights that stay */
  PV_BITMAP_FLAT = 3,
  PV_ONE_OF = 4 /* one of every `block` weights of a row stays, tiles of PV_TILE rows */
} pv_layout;

enum {
  PV_OK = 0,
  PV_ERROR_BITS = -1,       /* bits outside 1..8 */
  PV_ERROR_SHAPE = -2,      /* rows, columns, groups, kernel, stride, … that no layer has */
  PV_ERROR_PACKED = -3,     /* fewer packed bytes than the shape needs */
  PV_ERROR_OFFSETS = -4,    /* row offsets that descend, are unaligned or leave the packed bytes */
  PV_ERROR_SURVIVORS = -5,  /* a bitmap with more survivors than codes follow it */
  PV_ERROR_RANGE = -6,      /* a row range outside the layer */
  PV_ERROR_ACTIVATION = -7, /* an unknown activation */
  PV_ERROR_MEMORY = -8,     /* no scratch (from adapters: nothing is allocated here) */
  PV_ERROR_BLOCK = -9,      /* a block of another length than 2, 4, 8, 16, or with more than 7 bits */
  PV_ERROR_LAYOUT = -10,    /* an unknown layout, or one the function does not take */
  PV_ERROR_GRID = -11       /* a grid of int8 activations without a positive scale, or a zero that is no int8 */
};

/* One packed layer. */
typedef struct pv_lut {
  const uint8_t* packed;
  size_t packed_bytes;
  const int32_t* row_offsets; /* PV_BITMAP: [rows + 1] byte offsets of the rows; else unused */
  const float* codebook;      /* [groups, 1 << bits]; group g serves ceil(rows / groups) consecutive rows */
  const float* row_scale;     /* [rows] or NULL */
  const float* bias;          /* [rows] or NULL */
  int32_t bits, groups, rows, cols;
  int32_t layout; /* a pv_layout */
  int32_t block;  /* PV_ONE_OF: 2, 4, 8 or 16; else unused */
  int32_t activation;
} pv_lut;

/* One image, float32 [channels, height, width], and the geometry of a convolution over it. Max pooling may follow: square
 * windows of `pool` pixels (0: none) every `pool_stride`, the last one cut off by the edge if `pool_ceil`. */
typedef struct pv_conv {
  int32_t channels, height, width;
  int32_t kernel[2], stride[2], padding[2], dilation[2]; /* vertical, horizontal */
  int32_t groups;
  int32_t pool, pool_stride, pool_ceil;
} pv_conv;

/* NetVLAD: cluster centre k is centroids[k, :] * centroid_scale[k]. */
typedef struct pv_vlad {
  const int8_t* centroids;     /* [clusters, dims] */
  const float* centroid_scale; /* [clusters] */
  int32_t clusters, dims, locations;
} pv_vlad;

/* The name of the instruction set in use: avx512vnni, avx2, neon_i8mm, neon_dotprod, neon or scalar. */
const char* pv_isa(void);
/* Use one by name, for tests; NULL goes back to the best. 0, or -1 if this machine or build lacks it. */
int pv_force_isa(const char* name);
/* The names compiled in, best first; NULL past the end. */
const char* pv_isa_name(int index);
/* The processor has arm64's dot product although its operating system may not say so: called before any kernel runs, by
 * who knows the core (phones with an old kernel configuration do not report it). */
void pv_know_dot_product(void);
const char* pv_error_text(int error);

/* Everything that can be checked without reading the packed bytes. */
int pv_lut_check(const pv_lut* lut);

/* y[n, o] = activation(sum_i x[n, i] * weight[o, i] + bias[o]): x float32 [batch, cols], y float32 [batch, rows]. */
size_t pv_lut_linear_scratch_bytes(const pv_lut* lut, int64_t batch, int fast);
size_t pv_lut_linear_worker_bytes(const pv_lut* lut, int64_t batch, int fast);
int pv_lut_linear_prepare(const pv_lut* lut, const float* x, int64_t batch, int fast, void* scratch);
int pv_lut_linear_rows(const pv_lut* lut, int64_t batch, int fast, const void* scratch, void* worker, float* y,
                       int32_t begin, int32_t end);

/* 2-D convolution of one image with a flat layer of weights [rows, channels / groups, kernel], then max pooling; `y`
 * is the whole output, float32 [rows, H', W'], of which rows begin..end are written. */
enum { PV_CONV_STEP = 8 }; /* row ranges that start at multiples of it waste nothing */
int pv_conv_check(const pv_lut* lut, const pv_conv* conv);
void pv_conv_out_size(const pv_conv* conv, int32_t size[2]);
size_t pv_lut_conv2d_scratch_bytes(const pv_lut* lut, const pv_conv* conv, int fast);
size_t pv_lut_conv2d_worker_bytes(const pv_lut* lut, const pv_conv* conv, int fast);
int pv_lut_conv2d_prepare(const pv_lut* lut, const pv_conv* conv, const float* x, int fast, void* scratch);
int pv_lut_conv2d_rows(const pv_lut* lut, const pv_conv* conv, int fast, const void* scratch, void* worker, float* y,
                       int32_t begin, int32_t end);

/* NetVLAD aggregation of one image, x float32 [dims, locations] -> y float32 [clusters * dims], unit length. `lut` is
 * the soft assignment, flat, clusters rows of dims columns. */
int pv_vlad_check(const pv_lut* lut, const pv_vlad* vlad);
size_t pv_vlad_pool_scratch_bytes(const pv_lut* lut, const pv_vlad* vlad, int fast);
int pv_vlad_pool(const pv_lut* lut, const pv_vlad* vlad, const float* x, int fast, void* scratch, float* y);

#ifdef __cplusplus
}
#endif
#endif
