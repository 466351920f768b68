/* XNNPACK packs weights by what a node says of them, not by their own sizes: both have to be the same. */
#include "graph.h"

enum { PAD_TOP, PAD_RIGHT, PAD_BOTTOM, PAD_LEFT, KERNEL_HEIGHT, KERNEL_WIDTH, STRIDE_HEIGHT, STRIDE_WIDTH,
       DILATION_HEIGHT, DILATION_WIDTH, GROUP_INPUTS, GROUP_OUTPUTS, GROUPS, ADD_HEIGHT, ADD_WIDTH, INPUT, FILTER, BIAS,
       OUTPUT };
enum { POSITIVE = GROUPS + 1 - KERNEL_HEIGHT };
enum { BATCH, HEIGHT, WIDTH, CHANNELS };
static const uint64_t MOST_POINTERS = (uint64_t)1 << 31;

static uint64_t number(const pv_graph* g, uint32_t node, int field) { return pv_flat_int(&g->flat, node, field); }

static uint32_t tensor(const pv_graph* g, uint32_t node, int field) {
  const uint32_t id = pv_flat_int(&g->flat, node, field);
  return id == PV_NO_VALUE ? 0 : pv_graph_tensor(g, id);
}

/* A bias has one number for each output; there may be none. */
static int bias_has(const pv_graph* g, uint32_t node, int field, uint64_t outputs, int constant) {
  const uint32_t bias = tensor(g, node, field);
  if (!bias) return pv_flat_int(&g->flat, node, field) == PV_NO_VALUE;
  const pv_shape shape = pv_graph_shape(g, bias);
  return pv_shape_elements(&shape) == outputs && (!constant || pv_graph_is_constant(g, bias));
}

/* Scales by channel are read for each output. */
static int scales_are_of(const pv_graph* g, uint32_t filter, uint64_t outputs) {
  const pv_list values = pv_flat_list(&g->flat, g->root, GRAPH_VALUES);
  for (uint32_t i = 0; i < values.count && pv_afford_work(g->parts, 1); i++) {
    const uint32_t value = pv_flat_at(&g->flat, values, i), found = pv_flat_follow(&g->flat, value, XVALUE);
    if (pv_graph_tensor_of(g, value) != filter) continue;
    if (pv_flat_byte(&g->flat, value, XVALUE_TYPE) != XVALUE_QUANTIZED) return 1;
    const uint8_t type = pv_flat_byte(&g->flat, found, QUANTIZED_TYPE);
    if (type != QUANT_CHANNEL && type != QUANT_GROUP) return 1;
    const uint32_t channel = pv_flat_int(&g->flat, pv_flat_follow(&g->flat, found, QUANTIZED), CHANNEL_DIM);
    const pv_shape shape = pv_graph_shape(g, filter);
    return channel < shape.rank && shape.dims[channel] == outputs;
  }
  return 0;
}

static pv_shape filter_of(const pv_graph* g, uint8_t type, uint32_t node) {
  const uint64_t outputs = number(g, node, GROUPS) * number(g, node, GROUP_OUTPUTS);
  pv_shape shape = {4, {outputs, number(g, node, KERNEL_HEIGHT), number(g, node, KERNEL_WIDTH), number(g, node, GROUP_INPUTS)}};
  if (type == NODE_DEPTHWISE) shape.dims[BATCH] = 1, shape.dims[CHANNELS] = outputs;
  return shape;
}

uint64_t pv_window_positions(uint64_t size, uint64_t kernel, uint64_t dilation, uint64_t stride) {
  const uint64_t reach = (kernel - 1) * dilation + 1;
  return size < reach ? 0 : (size - reach) / stride + 1;
}

int pv_windows_fit(uint64_t positions, uint64_t places) { return positions <= MOST_POINTERS / places; }

/* Positions along one axis, 0 for height and 1 for width. */
static uint64_t convolved(const pv_graph* g, uint8_t type, uint32_t node, int axis, uint64_t size) {
  const uint64_t kernel = number(g, node, KERNEL_HEIGHT + axis), dilation = number(g, node, DILATION_HEIGHT + axis);
  const uint64_t stride = number(g, node, STRIDE_HEIGHT + axis);
  const uint64_t pads = axis ? number(g, node, PAD_LEFT) + number(g, node, PAD_RIGHT)
                             : number(g, node, PAD_TOP) + number(g, node, PAD_BOTTOM);
  if (type != NODE_DECONVOLUTION) return pv_window_positions(size + pads, kernel, dilation, stride);
  const uint64_t all = stride * (size - 1) + number(g, node, ADD_HEIGHT + axis) + (kernel - 1) * dilation + 1;
  return all > pads ? all - pads : 0;
}

int pv_convolution_makes(const pv_graph* g, uint8_t type, uint32_t node) {
  const uint32_t input = tensor(g, node, INPUT), filter = tensor(g, node, FILTER), output = tensor(g, node, OUTPUT);
  if (!pv_fields_within(g, node, PAD_TOP, 4, 0) || !pv_fields_within(g, node, KERNEL_HEIGHT, POSITIVE, 1) ||
      !pv_fields_within(g, node, ADD_HEIGHT, 2, 0)) {
    return 0;
  }
  if (!input || !filter || !output || !pv_graph_is_constant(g, filter)) return 0;
  const uint64_t inputs = number(g, node, GROUPS) * number(g, node, GROUP_INPUTS);
  const uint64_t outputs = number(g, node, GROUPS) * number(g, node, GROUP_OUTPUTS);
  const pv_shape from = pv_graph_shape(g, input), weights = pv_graph_shape(g, filter), to = pv_graph_shape(g, output);
  const pv_shape expected = filter_of(g, type, node);
  if (type == NODE_DEPTHWISE && number(g, node, GROUP_INPUTS) != 1) return 0;
  if (!pv_shape_is(&weights, &expected) || from.rank != 4 || from.dims[CHANNELS] != inputs) return 0;
  const pv_shape made = {4, {from.dims[BATCH], convolved(g, type, node, 0, from.dims[HEIGHT]),
                             convolved(g, type, node, 1, from.dims[WIDTH]), outputs}};
  if (!pv_shape_is(&to, &made)) return 0;
  if (!pv_windows_fit(made.dims[HEIGHT] * made.dims[WIDTH],
                      number(g, node, KERNEL_HEIGHT) * number(g, node, KERNEL_WIDTH))) {
    return 0;
  }
  return bias_has(g, node, BIAS, outputs, 1) && scales_are_of(g, filter, outputs);
}

int pv_connected_makes(const pv_graph* g, uint32_t node) {
  enum { FROM, MATRIX, OFFSET, TO, FLAGS };
  const uint32_t input = tensor(g, node, FROM), filter = tensor(g, node, MATRIX), output = tensor(g, node, TO);
  if (!input || !filter || !output) return 0;
  const pv_shape from = pv_graph_shape(g, input), weights = pv_graph_shape(g, filter), to = pv_graph_shape(g, output);
  if (weights.rank != 2 || !from.rank) return 0;
  const int transposed = pv_flat_int(&g->flat, node, FLAGS) != 0; /* [in, out] */
  const uint64_t outputs = weights.dims[transposed];
  pv_shape made = from;
  made.dims[from.rank - 1] = outputs;
  if (from.dims[from.rank - 1] != weights.dims[!transposed] || !pv_shape_is(&to, &made)) return 0;
  const int constant = pv_graph_is_constant(g, filter);
  return bias_has(g, node, OFFSET, outputs, constant) && scales_are_of(g, filter, outputs);
}
