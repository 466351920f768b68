/* What the files of XNNPACK graphs share: a graph whose tables have been walked, its values and their sizes. */
#ifndef POCKETVLAD_PROGRAM_GRAPH_H
#define POCKETVLAD_PROGRAM_GRAPH_H

#include "parts.h"
#include "schema.h"

enum { PV_DIMS = 6 };                           /* XNN_MAX_TENSOR_DIMS */
enum { PV_LARGEST_STEP = 1 << 20 };             /* of padding, windows, strides, channels: sums stay small */
enum { PV_EXTERNAL_INPUT = 1, PV_EXTERNAL_OUTPUT = 2, PV_EXTERNAL = 3 }; /* XNN_VALUE_FLAG_... */
static const uint32_t PV_NO_VALUE = UINT32_MAX;

/* Sizes of a value; `rank` above PV_DIMS in none. */
typedef struct pv_shape {
  uint32_t rank;
  uint64_t dims[PV_DIMS];
} pv_shape;

/* The tensor of an entry of the list of values, and of value `id`: 0 if the graph has none. */
uint32_t pv_graph_tensor_of(const pv_graph* g, uint32_t value);
uint32_t pv_graph_tensor(const pv_graph* g, uint32_t id);
pv_shape pv_graph_shape(const pv_graph* g, uint32_t tensor);
uint64_t pv_shape_elements(const pv_shape* shape);
int pv_shape_is(const pv_shape* a, const pv_shape* b);
/* Bits of an element, 0 for a type no value has. */
uint32_t pv_graph_bits(const pv_graph* g, uint32_t tensor);
int pv_graph_is_constant(const pv_graph* g, uint32_t tensor);

/* Each 0 or 1. A node of type `type` at `node`: it names values that it may. */
int pv_node_names_values(const pv_graph* g, uint8_t type, uint32_t node);
/* It makes what the graph says that it makes, of weights that are long enough. */
int pv_node_makes_its_sizes(const pv_graph* g, uint8_t type, uint32_t node);
/* Parts of that: convolutions, and layers that are connected. */
int pv_convolution_makes(const pv_graph* g, uint8_t type, uint32_t node);
int pv_connected_makes(const pv_graph* g, uint32_t node);
/* Positions of a window of `kernel` along `size`, padding included; 0 where the window does not fit. */
uint64_t pv_window_positions(uint64_t size, uint64_t kernel, uint64_t dilation, uint64_t stride);
/* XNNPACK keeps a pointer for each place of a window at each of its positions. */
int pv_windows_fit(uint64_t positions, uint64_t places);
/* `count` fields from `first` on are each between `least` and PV_LARGEST_STEP. */
int pv_fields_within(const pv_graph* g, uint32_t node, int first, int count, uint32_t least);

#endif
