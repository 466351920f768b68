/* The graph an XNNPACK delegate is built from: its builder throws, and so ends the process, on what is not there. */
#include <string.h>

#include "graph.h"

enum { HEADER_BYTES = 30 };
enum { COMPARED_AT_ONCE = 16 };             /* bytes of a name, in the time of one step */
enum { MOST_EXTERNALS = 4096 };             /* of the runtime, which makes room for as many */
static const uint64_t LARGEST = INT32_MAX;  /* elements of one value */

static int open_graph(pv_parts* parts, const uint8_t* data, uint64_t size, pv_graph* g) {
  if (size < HEADER_BYTES) return 0;
  uint64_t offset = 0, bytes = size;
  g->parts = parts;
  g->has_header = !memcmp(data + 4, "XH00", 4);
  g->constant_bytes = 0;
  if (g->has_header) {
    offset = pv_read32(data + 10), bytes = pv_read32(data + 14);
    const uint64_t constants = pv_read32(data + 18), constant_bytes = pv_read64(data + 22);
    if (pv_read16(data + 8) < HEADER_BYTES || constants > size || constant_bytes > size - constants) return 0;
    g->constant_bytes = constant_bytes;
  }
  if (offset > size || bytes > size - offset || bytes < 8 || bytes > INT32_MAX || offset % 8) return 0;
  const uint8_t* identifier = data + offset + 4;
  if (memcmp(identifier, "XN00", 4) && memcmp(identifier, "XN01", 4)) return 0;
  g->flat = pv_flat_of(data + offset, (uint32_t)bytes);
  const uint64_t steps = g->flat.steps;
  const int found = pv_flat_check(&g->flat, &pv_graph_schema, &g->root);
  return found == PV_FLAT_SOUND && pv_afford_work(parts, steps - g->flat.steps);
}

/* The segment of named data `key`, a checked text. */
static int named_bytes(const pv_graph* g, const char* key, uint64_t* bytes) {
  const pv_flat* flat = &g->parts->flat;
  const pv_list named = pv_flat_list(flat, g->parts->program, PROGRAM_NAMED);
  const uint64_t compared = 1 + strlen(key) / COMPARED_AT_ONCE;
  for (uint32_t i = 0; i < named.count; i++) {
    if (!pv_afford_work(g->parts, compared)) return 0;
    const uint32_t entry = pv_flat_at(flat, named, i), name = pv_flat_follow(flat, entry, NAMED_KEY);
    if (strcmp((const char*)flat->data + name + 4, key)) continue;
    return pv_segment(g->parts, pv_flat_int(flat, entry, NAMED_SEGMENT), bytes) != 0;
  }
  return 0;
}

/* Bytes stored for constant `index`: in a graph without a header, behind it, or as named data of the program. */
static int stored_bytes(const pv_graph* g, uint32_t index, uint64_t* bytes) {
  const pv_list buffers = pv_flat_list(&g->flat, g->root, GRAPH_BUFFERS);
  const pv_list constants = pv_flat_list(&g->flat, g->root, GRAPH_CONSTANTS);
  if (!g->has_header) {
    if (index >= buffers.count) return 0;
    *bytes = pv_flat_list(&g->flat, pv_flat_at(&g->flat, buffers, index), BUFFER_STORAGE).count;
    return 1;
  }
  if (index >= constants.count) return 0;
  const uint32_t constant = pv_flat_at(&g->flat, constants, index);
  const uint32_t key = pv_flat_follow(&g->flat, constant, CONSTANT_KEY);
  if (key) return named_bytes(g, (const char*)g->flat.data + key + 4, bytes);
  const uint64_t offset = pv_flat_long(&g->flat, constant, CONSTANT_OFFSET);
  *bytes = pv_flat_long(&g->flat, constant, CONSTANT_BYTES);
  return offset <= g->constant_bytes && *bytes <= g->constant_bytes - offset;
}

static int has_dims(const pv_graph* g, uint32_t tensor) {
  const pv_list dims = pv_flat_list(&g->flat, tensor, XTENSOR_DIMS);
  uint64_t elements = 1;
  if (!dims.count || dims.count > PV_DIMS || dims.count != pv_flat_int(&g->flat, tensor, XTENSOR_RANK)) return 0;
  for (uint32_t i = 0; i < dims.count; i++) {
    elements *= pv_read32(g->flat.data + dims.at + 4 * i);
    if (!elements || elements > LARGEST) return 0;
  }
  return 1;
}

/* A constant has its bytes; rows of half bytes end with whole ones. */
static int has_bytes(const pv_graph* g, uint32_t tensor) {
  uint64_t stored = 0;
  const pv_shape shape = pv_graph_shape(g, tensor);
  const uint32_t bits = pv_graph_bits(g, tensor);
  if (bits < 8 && shape.dims[shape.rank - 1] % 2) return 0;
  if (!pv_graph_is_constant(g, tensor)) return 1;
  return stored_bytes(g, pv_flat_int(&g->flat, tensor, XTENSOR_CONSTANT), &stored) &&
         stored >= (pv_shape_elements(&shape) * bits + 7) / 8;
}

static int check_tensor(const pv_graph* g, uint32_t tensor) {
  const uint32_t external = pv_flat_int(&g->flat, tensor, XTENSOR_EXTERNAL);
  const uint32_t flags = pv_flat_int(&g->flat, tensor, XTENSOR_FLAGS);
  if (!has_dims(g, tensor) || !pv_graph_bits(g, tensor)) return 0;
  if (external != PV_NO_VALUE && external >= pv_flat_int(&g->flat, g->root, GRAPH_EXTERNALS)) return 0;
  if (flags > PV_EXTERNAL || (flags == 0) != (external == PV_NO_VALUE)) return 0;
  const uint32_t dynamic = pv_flat_field(&g->flat, tensor, XTENSOR_DYNAMIC);
  return (!dynamic || !pv_read16(g->flat.data + dynamic)) && has_bytes(g, tensor);
}

/* Scales of a channel: as many as its dimension, in the graph or among the constants. */
static int check_scales(const pv_graph* g, uint32_t tensor, uint32_t quant, uint64_t groups, int buffer, int count) {
  const pv_list dims = pv_flat_list(&g->flat, tensor, XTENSOR_DIMS), scales = pv_flat_list(&g->flat, quant, CHANNEL_SCALES);
  const uint32_t channel = pv_flat_int(&g->flat, quant, CHANNEL_DIM), index = pv_flat_int(&g->flat, quant, buffer);
  if (channel >= dims.count) return 0;
  const uint64_t needed = pv_read32(g->flat.data + dims.at + 4 * channel) * groups;
  if (!index) return scales.count >= needed; /* both: the runtime reads the constant */
  uint64_t bytes = 0;
  const uint64_t width = groups > 1 || buffer == GROUP_BUFFER ? 2 : 4; /* bfloat16 for groups */
  return pv_flat_int(&g->flat, quant, count) >= needed && stored_bytes(g, index, &bytes) && bytes >= needed * width;
}

/* Of a matrix [outputs, inputs], a scale for each group of an output's inputs. */
static int check_groups(const pv_graph* g, uint32_t tensor, uint32_t quant) {
  const pv_shape shape = pv_graph_shape(g, tensor);
  const uint32_t group = pv_flat_int(&g->flat, quant, GROUP_SIZE);
  if (!group || shape.rank != 2 || pv_flat_int(&g->flat, quant, GROUP_DIM) || shape.dims[1] % group) return 0;
  return check_scales(g, tensor, quant, shape.dims[1] / group, GROUP_BUFFER, GROUP_COUNT);
}

static int check_value(const pv_graph* g, uint32_t value) {
  const uint32_t found = pv_flat_follow(&g->flat, value, XVALUE);
  if (pv_flat_byte(&g->flat, value, XVALUE_TYPE) == XVALUE_TENSOR) return check_tensor(g, found);
  const uint32_t tensor = pv_flat_follow(&g->flat, found, QUANTIZED_TENSOR);
  const uint32_t quant = pv_flat_follow(&g->flat, found, QUANTIZED);
  if (!check_tensor(g, tensor)) return 0;
  switch (pv_flat_byte(&g->flat, found, QUANTIZED_TYPE)) {
    case QUANT_CHANNEL:
      return check_scales(g, tensor, quant, 1, CHANNEL_BUFFER, CHANNEL_COUNT);
    case QUANT_GROUP:
      return check_groups(g, tensor, quant);
    default:
      return 1;
  }
}

/* No other value has its number, or the place of the call that it stands for: the runtime takes one of both. */
static int is_alone(const pv_graph* g, pv_list values, uint32_t tensor) {
  const uint32_t external = pv_flat_int(&g->flat, tensor, XTENSOR_EXTERNAL);
  if (pv_graph_tensor(g, pv_flat_int(&g->flat, tensor, XTENSOR_ID)) != tensor) return 0;
  if (external == PV_NO_VALUE) return 1;
  if (!pv_afford_work(g->parts, values.count)) return 0;
  for (uint32_t i = 0; i < values.count; i++) {
    const uint32_t other = pv_graph_tensor_of(g, pv_flat_at(&g->flat, values, i));
    if (other != tensor && pv_flat_int(&g->flat, other, XTENSOR_EXTERNAL) == external) return 0;
  }
  return 1;
}

static int check_nodes(const pv_graph* g) {
  const pv_list nodes = pv_flat_list(&g->flat, g->root, GRAPH_NODES);
  for (uint32_t i = 0; i < nodes.count; i++) {
    const uint32_t entry = pv_flat_at(&g->flat, nodes, i), node = pv_flat_follow(&g->flat, entry, NODE);
    const uint8_t type = pv_flat_byte(&g->flat, entry, NODE_TYPE);
    if (!pv_node_names_values(g, type, node)) return RULE_GRAPH_NODES;
    if (!pv_node_makes_its_sizes(g, type, node)) return RULE_GRAPH_SIZES;
  }
  return 0;
}

static int check_opened(const pv_graph* g) {
  const pv_list values = pv_flat_list(&g->flat, g->root, GRAPH_VALUES);
  if (pv_flat_int(&g->flat, g->root, GRAPH_EXTERNALS) > MOST_EXTERNALS) return RULE_GRAPH;
  for (uint32_t i = 0; i < values.count; i++) {
    const uint32_t value = pv_flat_at(&g->flat, values, i);
    if (!check_value(g, value) || !is_alone(g, values, pv_graph_tensor_of(g, value))) return RULE_GRAPH_VALUES;
  }
  return check_nodes(g);
}

int pv_check_graph(pv_parts* parts, const uint8_t* data, uint64_t size, pv_graph* g) {
  const int broken = open_graph(parts, data, size, g) ? check_opened(g) : RULE_GRAPH;
  return broken && !parts->work ? RULE_GRAPH : broken;
}
