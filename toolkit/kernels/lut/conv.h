/* What the parts of lut_conv2d share. Internal.
 *
 * conv_image.c  the image, written once into planes of elements
 * conv_panel.c  the weights of PV_TILE_ROWS output channels, decoded into a panel
 * conv.c        the products of both, finished and pooled
 */
#ifndef POCKETVLAD_LUT_CONV_H
#define POCKETVLAD_LUT_CONV_H

#include "kernels.h"

typedef struct pv_geometry {
  int32_t out[2], plane[2]; /* heights, widths; `out` before pooling */
  int32_t taps, depth;      /* kernel positions; elements per group of channels and pixel */
  int32_t steps;            /* taps * depth */
  int32_t kernel_rows;
  int32_t group_channels, group_rows;
  int32_t floats;           /* elements are float32 */
  size_t phases, plane_size, elements;
} pv_geometry;

/* Shared scratch: the grid of the activations, element offset of every step, the planes. */
typedef struct pv_image {
  pv_grid* grid;
  int32_t* offsets;
  uint32_t* elements;
} pv_image;

pv_geometry pv_conv_geometry(const pv_lut* lut, const pv_conv* c, int fast);
pv_image pv_conv_image(const pv_geometry* g, const void* scratch);

/* Where panels come from: a layer's codes, and the codebook group whose levels are at hand (-1: none). */
typedef struct pv_panels {
  const pv_lut* lut;
  const pv_geometry* geometry;
  const pv_grid* grid;
  uint8_t* decoded; /* worker scratch, pv_decoded_bytes */
  pv_flat flat;
  pv_levels levels;
  int32_t fast, group;
} pv_panels;

size_t pv_panel_bytes(const pv_geometry* g);
size_t pv_decoded_bytes(const pv_lut* lut, const pv_geometry* g);
/* Panel [steps, PV_TILE_ROWS] of elements and output scales of rows [row, row + rows); rows it lacks are zero. */
int pv_fill_panel(pv_panels* p, int32_t row, int32_t rows, uint8_t* panel, pv_finish finish[PV_TILE_ROWS]);

/* Rows of max pooling: x [.., width] -> y [rows, out_width], of which window i starts at x[i * stride]; windows end at
 * the image's last row, `height` rows from x, and last column. */
void pv_max_pool(const pv_conv* c, const float* x, int32_t height, int32_t width, float* y, int32_t rows,
                 int32_t out_width);
int32_t pv_pooled_size(const pv_conv* c, int32_t size);

#endif
