/* What a call gives an XNNPACK graph, and where it lets it write. */
#include "graph.h"

/* XNNPACK reads and writes as many elements as the graph says, of its type, before anybody compares sizes: the tensor
 * of a call has those sizes, in the order of its memory, and keeps them. */
static int has_sizes(const pv_flat* flat, uint32_t given, const pv_shape* shape) {
  const pv_list sizes = pv_flat_list(flat, given, TENSOR_SIZES), order = pv_flat_list(flat, given, TENSOR_ORDER);
  if (!sizes.count) return shape->rank == 1 && shape->dims[0] == 1; /* a number: graphs give it a size */
  if (sizes.count != shape->rank || pv_flat_byte(flat, given, TENSOR_DYNAMISM)) return 0;
  for (uint32_t i = 0; i < sizes.count; i++) {
    if (pv_read32(flat->data + sizes.at + 4 * flat->data[order.at + i]) != shape->dims[i]) return 0;
  }
  return 1;
}

static int fits_external(const pv_graph* g, const pv_parts* parts, uint32_t plan, uint32_t tensor, uint32_t argument) {
  const pv_shape shape = pv_graph_shape(g, tensor);
  const uint32_t given = pv_tensor_at(parts, plan, argument);
  const uint32_t width = pv_element_bytes(pv_flat_byte(&parts->flat, given, TENSOR_TYPE));
  return pv_graph_bits(g, tensor) == 8 * width && has_sizes(&parts->flat, given, &shape);
}

int pv_graph_takes(const pv_graph* g, pv_parts* parts, uint32_t plan, pv_list arguments) {
  const pv_list values = pv_flat_list(&g->flat, g->root, GRAPH_VALUES);
  if (arguments.count < pv_flat_int(&g->flat, g->root, GRAPH_EXTERNALS)) return 0;
  if (!pv_flat_afford(&parts->flat, (uint64_t)arguments.count + values.count)) return 0;
  for (uint32_t a = 0; a < arguments.count; a++) {
    if (pv_value_kind(parts, plan, pv_read32(parts->flat.data + arguments.at + 4 * a)) != VALUE_TENSOR) return 0;
  }
  for (uint32_t i = 0; i < values.count; i++) {
    const uint32_t tensor = pv_graph_tensor_of(g, pv_flat_at(&g->flat, values, i));
    const uint32_t flags = pv_flat_int(&g->flat, tensor, XTENSOR_FLAGS);
    if (!(flags & PV_EXTERNAL)) continue;
    const uint32_t external = pv_flat_int(&g->flat, tensor, XTENSOR_EXTERNAL);
    const uint32_t argument = pv_read32(parts->flat.data + arguments.at + 4 * external);
    if (!fits_external(g, parts, plan, tensor, argument)) return 0;
    if ((flags & PV_EXTERNAL_OUTPUT) && !pv_may_write(parts, plan, arguments, external)) return 0;
  }
  return 1;
}
