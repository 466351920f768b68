/* The graph an XNNPACK delegate is built from: its builder throws, and so ends the process, on what is not there. */
#include <string.h>

#include "parts.h"
#include "schema.h"

enum { HEADER_BYTES = 30, DIMS = 6 }; /* XNN_MAX_TENSOR_DIMS */
enum { EXTERNAL_INPUT = 1, EXTERNAL_OUTPUT = 2, EXTERNAL = 3 }; /* XNN_VALUE_FLAG_... */
static const uint32_t NO_VALUE = UINT32_MAX;
static const uint64_t LARGEST = (uint64_t)1 << 40;     /* bytes of one value */
static const uint32_t LARGEST_PAD = 1 << 20;
static const uint64_t SEARCH = (uint64_t)1 << 26;      /* nodes * values: looked up one by one */

static int open_graph(const pv_parts* parts, const uint8_t* data, uint64_t size, pv_graph* g) {
  if (size < HEADER_BYTES) return 0;
  uint64_t offset = 0, bytes = size;
  g->parts = parts;
  g->constants = 0;
  g->constant_bytes = 0;
  if (!memcmp(data + 4, "XH00", 4)) {
    offset = pv_read32(data + 10), bytes = pv_read32(data + 14);
    const uint64_t constants = pv_read32(data + 18), constant_bytes = pv_read64(data + 22);
    if (pv_read16(data + 8) < HEADER_BYTES || constants > size || constant_bytes > size - constants) return 0;
    g->constants = data + constants;
    g->constant_bytes = constant_bytes;
  }
  if (offset > size || bytes > size - offset || bytes < 8 || bytes > INT32_MAX || offset % 8) return 0;
  const uint8_t* identifier = data + offset + 4;
  if (memcmp(identifier, "XN00", 4) && memcmp(identifier, "XN01", 4)) return 0;
  g->flat = pv_flat_of(data + offset, (uint32_t)bytes);
  return pv_flat_check(&g->flat, &pv_graph_schema, &g->root) == PV_FLAT_SOUND;
}

/* Bits of one element, 0 for a type no value has. */
static uint32_t element_bits(uint16_t type) {
  static const uint8_t bits[] = {0, 32, 16, 8, 8, 32, 8, 32, 4, 8, 4, 8, 32, 32, 16};
  return type < sizeof bits ? bits[type] : 0;
}

static uint16_t tensor_type(const pv_graph* g, uint32_t tensor) {
  const uint32_t slot = pv_flat_field(&g->flat, tensor, XTENSOR_TYPE);
  return slot ? pv_read16(g->flat.data + slot) : 0;
}

/* The segment of named data `key`, a checked text. */
static int named_bytes(const pv_graph* g, const char* key, uint64_t* bytes) {
  const pv_flat* flat = &g->parts->flat;
  const pv_list named = pv_flat_list(flat, g->parts->program, PROGRAM_NAMED);
  for (uint32_t i = 0; i < named.count; i++) {
    const uint32_t entry = pv_flat_at(flat, named, i), name = pv_flat_follow(flat, entry, NAMED_KEY);
    if (strcmp((const char*)flat->data + name + 4, key)) continue;
    return pv_segment(g->parts, pv_flat_int(flat, entry, NAMED_SEGMENT), bytes) != 0;
  }
  return 0;
}

/* Bytes stored for constant `index`: in the graph, behind it, or as named data of the program. */
static int stored_bytes(const pv_graph* g, uint32_t index, uint64_t* bytes) {
  const pv_list buffers = pv_flat_list(&g->flat, g->root, GRAPH_BUFFERS);
  const pv_list constants = pv_flat_list(&g->flat, g->root, GRAPH_CONSTANTS);
  if (!constants.count) {
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

static int check_tensor(const pv_graph* g, uint32_t tensor) {
  const pv_list dims = pv_flat_list(&g->flat, tensor, XTENSOR_DIMS);
  uint64_t elements = 1, stored = 0;
  if (dims.count > DIMS || dims.count != pv_flat_int(&g->flat, tensor, XTENSOR_RANK)) return 0;
  for (uint32_t i = 0; i < dims.count; i++) {
    elements *= pv_read32(g->flat.data + dims.at + 4 * i);
    if (elements > LARGEST) return 0;
  }
  const uint32_t bits = element_bits(tensor_type(g, tensor));
  const uint32_t index = pv_flat_int(&g->flat, tensor, XTENSOR_CONSTANT);
  const uint32_t external = pv_flat_int(&g->flat, tensor, XTENSOR_EXTERNAL);
  if (!bits || (external != NO_VALUE && external >= pv_flat_int(&g->flat, g->root, GRAPH_EXTERNALS))) return 0;
  const uint32_t flags = pv_flat_int(&g->flat, tensor, XTENSOR_FLAGS);
  if (flags > EXTERNAL || (flags && external == NO_VALUE)) return 0;
  return !index || (stored_bytes(g, index, &stored) && stored >= (elements * bits + 7) / 8);
}

/* Scales of a channel: as many as its dimension, in the graph or among the constants. */
static int check_scales(const pv_graph* g, uint32_t tensor, uint32_t quant, uint64_t groups, int buffer, int count) {
  const pv_list dims = pv_flat_list(&g->flat, tensor, XTENSOR_DIMS), scales = pv_flat_list(&g->flat, quant, CHANNEL_SCALES);
  const uint32_t channel = pv_flat_int(&g->flat, quant, CHANNEL_DIM), index = pv_flat_int(&g->flat, quant, buffer);
  if (channel >= dims.count) return 0;
  const uint64_t needed = pv_read32(g->flat.data + dims.at + 4 * channel) * groups;
  if (scales.count) return scales.count >= needed;
  uint64_t bytes = 0;
  const uint64_t width = groups > 1 || buffer == GROUP_BUFFER ? 2 : 4; /* bfloat16 for groups */
  return index && pv_flat_int(&g->flat, quant, count) >= needed && stored_bytes(g, index, &bytes) && bytes >= needed * width;
}

static int check_groups(const pv_graph* g, uint32_t tensor, uint32_t quant) {
  const pv_list dims = pv_flat_list(&g->flat, tensor, XTENSOR_DIMS);
  const uint32_t group = pv_flat_int(&g->flat, quant, GROUP_SIZE);
  if (!group || dims.count < 2) return 0;
  const uint64_t inputs = pv_read32(g->flat.data + dims.at + 4 * (dims.count - 1));
  return check_scales(g, tensor, quant, (inputs + group - 1) / group, GROUP_BUFFER, GROUP_COUNT);
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

static uint32_t tensor_of(const pv_graph* g, uint32_t value) {
  const uint32_t found = pv_flat_follow(&g->flat, value, XVALUE);
  return pv_flat_byte(&g->flat, value, XVALUE_TYPE) == XVALUE_TENSOR
             ? found
             : pv_flat_follow(&g->flat, found, QUANTIZED_TENSOR);
}

/* The tensor of value `id`, 0 if the graph has none. */
static uint32_t find_value(const pv_graph* g, uint32_t id) {
  const pv_list values = pv_flat_list(&g->flat, g->root, GRAPH_VALUES);
  for (uint32_t i = 0; i < values.count; i++) {
    const uint32_t tensor = tensor_of(g, pv_flat_at(&g->flat, values, i));
    if (pv_flat_int(&g->flat, tensor, XTENSOR_ID) == id) return tensor;
  }
  return 0;
}

static int has_count(const pv_graph* g, uint32_t node, int list, uint32_t count) {
  return pv_flat_list(&g->flat, node, list).count == count && count <= DIMS;
}

/* Sizes with what is added to them stay int32. */
static int pads_are_small(const pv_graph* g, uint32_t node, int list) {
  const pv_list pads = pv_flat_list(&g->flat, node, list);
  for (uint32_t i = 0; i < pads.count; i++) {
    if (pv_read32(g->flat.data + pads.at + 4 * i) > LARGEST_PAD) return 0;
  }
  return 1;
}

/* Lists whose length XNNPACK takes on trust. */
static int check_lists(const pv_graph* g, uint8_t type, uint32_t node) {
  enum { RANK = 0, FIRST = 1, SECOND = 2, PAD_INPUT = 3 };
  const uint32_t rank = pv_flat_int(&g->flat, node, RANK);
  switch (type) {
    case NODE_TRANSPOSE:
    case NODE_RESHAPE:
      return has_count(g, node, FIRST, rank);
    case NODE_SLICE:
      return has_count(g, node, FIRST, rank) && has_count(g, node, SECOND, rank);
    case NODE_PAD: {
      const uint32_t input = find_value(g, pv_flat_int(&g->flat, node, PAD_INPUT));
      const uint32_t dims = input ? pv_flat_int(&g->flat, input, XTENSOR_RANK) : 0;
      return has_count(g, node, 0, dims) && has_count(g, node, 1, dims) && pads_are_small(g, node, 0) &&
             pads_are_small(g, node, 1);
    }
    default:
      return 1;
  }
}

static int is_catenate(uint8_t type) {
  return type == NODE_CATENATE2 || type == NODE_CATENATE3 || type == NODE_CATENATE4 || type == NODE_CATENATE5;
}

/* What a node makes is no constant and nothing that the call gives. */
static int may_be_made(const pv_graph* g, uint32_t tensor) {
  const uint32_t flags = pv_flat_int(&g->flat, tensor, XTENSOR_FLAGS);
  return !(flags & EXTERNAL_INPUT) && !pv_flat_int(&g->flat, tensor, XTENSOR_CONSTANT);
}

static int check_node(const pv_graph* g, uint32_t node) {
  const uint8_t type = pv_flat_byte(&g->flat, node, NODE_TYPE);
  const uint32_t found = pv_flat_follow(&g->flat, node, NODE);
  const pv_table* fields = pv_graph_schema.fields[GRAPH_NODES].of->fields[NODE].of->fields[type - 1].of;
  for (int i = 0; i < fields->count; i++) {
    const int made = fields->fields[i].kind == PV_MADE_ID;
    if (fields->fields[i].kind != PV_ID && !made) continue;
    if (!pv_flat_field(&g->flat, found, i) && is_catenate(type)) continue; /* of fewer inputs; any other absent one is 0 */
    const uint32_t id = pv_flat_int(&g->flat, found, i), tensor = id == NO_VALUE ? 0 : find_value(g, id);
    if (!tensor && (made || id != NO_VALUE)) return 0;
    if (made && !may_be_made(g, tensor)) return 0;
  }
  return check_lists(g, type, found);
}

int pv_check_graph(const pv_parts* parts, const uint8_t* data, uint64_t size, pv_graph* g) {
  if (!open_graph(parts, data, size, g)) return RULE_GRAPH;
  const pv_list values = pv_flat_list(&g->flat, g->root, GRAPH_VALUES), nodes = pv_flat_list(&g->flat, g->root, GRAPH_NODES);
  if ((uint64_t)values.count * nodes.count > SEARCH) return RULE_GRAPH;
  for (uint32_t i = 0; i < values.count; i++) {
    if (!check_value(g, pv_flat_at(&g->flat, values, i))) return RULE_GRAPH_VALUES;
  }
  for (uint32_t i = 0; i < nodes.count; i++) {
    if (!check_node(g, pv_flat_at(&g->flat, nodes, i))) return RULE_GRAPH_NODES;
  }
  return 0;
}

/* XNNPACK reads and writes as many elements as the graph says, of its type, before anybody compares sizes. */
static int fits_external(const pv_graph* g, const pv_parts* parts, uint32_t plan, uint32_t tensor, uint32_t argument) {
  const pv_list dims = pv_flat_list(&g->flat, tensor, XTENSOR_DIMS);
  const uint32_t given = pv_tensor_at(parts, plan, argument), bits = element_bits(tensor_type(g, tensor));
  const uint32_t width = pv_element_bytes(pv_flat_byte(&parts->flat, given, TENSOR_TYPE));
  int sound = 0;
  uint64_t bytes = width;
  for (uint32_t i = 0; i < dims.count; i++) bytes *= pv_read32(g->flat.data + dims.at + 4 * i);
  const uint64_t given_bytes = pv_tensor_bytes(&parts->flat, given, &sound);
  if (bits != 8 * width) return 0;
  return pv_flat_int(&g->flat, tensor, XTENSOR_FLAGS) & EXTERNAL_OUTPUT ? given_bytes >= bytes : given_bytes <= bytes;
}

int pv_graph_takes(const pv_graph* g, pv_parts* parts, uint32_t plan, pv_list arguments) {
  const pv_list values = pv_flat_list(&g->flat, g->root, GRAPH_VALUES);
  if (arguments.count < pv_flat_int(&g->flat, g->root, GRAPH_EXTERNALS)) return 0;
  if (!pv_flat_afford(&parts->flat, (uint64_t)arguments.count + values.count)) return 0;
  for (uint32_t a = 0; a < arguments.count; a++) {
    if (pv_value_kind(parts, plan, pv_read32(parts->flat.data + arguments.at + 4 * a)) != VALUE_TENSOR) return 0;
  }
  for (uint32_t i = 0; i < values.count; i++) {
    const uint32_t tensor = tensor_of(g, pv_flat_at(&g->flat, values, i));
    const uint32_t flags = pv_flat_int(&g->flat, tensor, XTENSOR_FLAGS);
    if (!(flags & EXTERNAL)) continue;
    const uint32_t external = pv_flat_int(&g->flat, tensor, XTENSOR_EXTERNAL);
    const uint32_t argument = pv_read32(parts->flat.data + arguments.at + 4 * external);
    if (!fits_external(g, parts, plan, tensor, argument)) return 0;
    if ((flags & EXTERNAL_OUTPUT) && !pv_may_write(parts, plan, arguments, external)) return 0;
  }
  return 1;
}
