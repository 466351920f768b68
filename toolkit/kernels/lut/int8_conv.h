/* What the parts of int8.h share. Internal.
 *
 * int8_image.c      checks, geometry, padded copies of the image
 * int8_conv.c       tiles of products
 * int8_depthwise.c  depthwise layers
 * int8_ops.c        to and from float32, sums, max pooling
 */
#ifndef POCKETVLAD_INT8_CONV_H
#define POCKETVLAD_INT8_CONV_H

#include "conv.h"
#include "int8.h"

typedef struct pv_i8_geometry {
  int32_t out[2];
  int32_t plane[2];  /* rows and pitch of a padded plane, one for each phase of the stride that a tap meets */
  int32_t phases[2]; /* how many of these */
  int32_t taps, depth, steps, group_rows; /* as pv_geometry */
  int32_t depthwise; /* then only `out` and `taps` mean something */
  int32_t columns; /* steps of a kernel row: its columns, or with `joined` its bytes by four */
  int32_t tight;   /* a phase is a step of a kernel row, its planes as wide as the output */
  int32_t joined;  /* of three channels: their bytes side by side, without a fourth */
  int32_t direct; /* the image is its own plane: a 1x1 convolution without stride or padding */
  size_t plane_size; /* in pixels */
} pv_i8_geometry;

int pv_i8_is_grid(const pv_i8_grid* grid);
/* What an activation clamps to on a grid. */
void pv_i8_ends(const pv_i8_grid* out, int32_t activation, int32_t* low, int32_t* high);

pv_i8_geometry pv_i8_conv_geometry(const pv_lut* lut, const pv_i8_conv* c);
/* Shared scratch: pixel offset of every step, then the planes. */
int32_t* pv_i8_conv_offsets(const void* scratch);
int8_t* pv_i8_conv_elements(const pv_i8_geometry* g, const void* scratch);
/* Pixels `first`, first + stride, ... of a row of `width`, side by side. */
void pv_i8_copy_every(const int8_t* x, int32_t first, int32_t stride, int32_t width, uint8_t* out);
/* The first `rows` channels of a tile from their float finish; the others are the grid's zero. */
void pv_i8_set_finish(const pv_i8_conv* c, const pv_finish* from, int32_t rows, pv_i8_finish* out);
/* pv_i8_conv_rows of a depthwise layer, and its worker scratch; `finish` has low and high. */
size_t pv_i8_depthwise_bytes(const pv_i8_conv* c, const pv_i8_geometry* g);
int pv_i8_depthwise_rows(const pv_lut* lut, const pv_i8_conv* c, const pv_i8_geometry* g, pv_i8_finish* finish,
                         const int8_t* x, void* worker, int8_t* y, int32_t begin, int32_t end);

#endif
