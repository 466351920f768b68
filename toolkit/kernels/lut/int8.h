/* Activations that stay int8 from layer to layer, on grids that calibration fitted: value = (q - zero) * scale.
 *
 * An image is int8 [quads, height, width, 4], quads = ceil(channels / 4): four channels of a pixel side by side. The
 * channels past the last hold the grid's zero. What is computed is that of pocketvlad/lut/int8.py, the same bits on
 * every instruction set. As in lut.h: no threads, no allocation, scratch of any alignment, 0 or a PV_ERROR.
 */
#ifndef POCKETVLAD_INT8_H
#define POCKETVLAD_INT8_H

#include "lut.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pv_i8_grid {
  float scale;  /* positive */
  int32_t zero; /* an int8 */
} pv_i8_grid;

/* A convolution of one image. `groups` is 1, or `channels` (depthwise, as many output channels), or such that the input
 * and output channels of a group are whole quads. Padding is less than the kernel's span. */
typedef struct pv_i8_conv {
  int32_t channels, height, width;
  int32_t kernel[2], stride[2], dilation[2]; /* vertical, horizontal */
  int32_t padding[4];                        /* top, left, bottom, right */
  int32_t groups;
  pv_i8_grid in, out;
} pv_i8_conv;

/* Max pooling of one image of `quads`: square windows every `stride` pixels, `padding` around the image that no window
 * sees; with `ceil` the last window may be cut off by the edge. */
typedef struct pv_i8_pool {
  int32_t quads, height, width;
  int32_t kernel, stride, padding, ceil;
} pv_i8_pool;

/* q = clamp(rint(x / scale) + zero): x float32 [channels, pixels] -> int8 quads [begin, end) of y. */
int pv_i8_from_float(const float* x, int32_t channels, size_t pixels, const pv_i8_grid* grid, int8_t* y, int32_t begin,
                     int32_t end);
/* The way back: quads [begin, end) of x -> their channels of y, float32 [channels, pixels]. */
int pv_i8_to_float(const int8_t* x, int32_t channels, size_t pixels, const pv_i8_grid* grid, float* y, int32_t begin,
                   int32_t end);

/* y = clamp(rint((int32 sum of w * (x - in.zero)) * scale + bias / out.scale + out.zero)) of a flat layer's weights
 * [rows, channels / groups, kernel] on the int8 grid of `fast`; scale = in.scale * (level scale * row scale) / out.scale.
 * ReLU and ReLU6 are the clamp. First prepare, then planes of all quads, then rows. Ranges of rows start at multiples of
 * PV_CONV_STEP and end there or at the last row; y is the whole output, of which these rows are written. */
int pv_i8_conv_check(const pv_lut* lut, const pv_i8_conv* conv);
void pv_i8_conv_out_size(const pv_i8_conv* conv, int32_t size[2]);
size_t pv_i8_conv_scratch_bytes(const pv_lut* lut, const pv_i8_conv* conv);
size_t pv_i8_conv_worker_bytes(const pv_lut* lut, const pv_i8_conv* conv);
int pv_i8_conv_prepare(const pv_lut* lut, const pv_i8_conv* conv, void* scratch);
/* Copies with padding of quads [begin, end) of x, of as many as pv_i8_conv_planes_count says (0: none is needed). */
int32_t pv_i8_conv_planes_count(const pv_lut* lut, const pv_i8_conv* conv);
void pv_i8_conv_planes(const pv_lut* lut, const pv_i8_conv* conv, const int8_t* x, void* scratch, int32_t begin,
                       int32_t end);
int pv_i8_conv_rows(const pv_lut* lut, const pv_i8_conv* conv, const int8_t* x, const void* scratch, void* worker,
                    int8_t* y, int32_t begin, int32_t end);

/* y = clamp((a * ma + b * mb + c) >> shift), n values: the sum of two images on the grid `out`, ReLU as the clamp. */
int pv_i8_add(const int8_t* a, const pv_i8_grid* a_grid, const int8_t* b, const pv_i8_grid* b_grid,
              const pv_i8_grid* out, int32_t activation, size_t n, int8_t* y);

int pv_i8_pool_check(const pv_i8_pool* pool);
void pv_i8_pool_out_size(const pv_i8_pool* pool, int32_t size[2]);
size_t pv_i8_pool_worker_bytes(const pv_i8_pool* pool);
/* Quads [begin, end) of y, the whole output. */
int pv_i8_max_pool(const pv_i8_pool* pool, const int8_t* x, void* worker, int8_t* y, int32_t begin, int32_t end);

#ifdef __cplusplus
}
#endif
#endif
