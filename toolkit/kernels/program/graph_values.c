/* Values of an XNNPACK graph whose tables have been walked: what the rules about them and about nodes ask. */
#include "graph.h"

uint32_t pv_graph_bits(const pv_graph* g, uint32_t tensor) {
  static const uint8_t bits[] = {0, 32, 16, 8, 8, 32, 8, 32, 4, 8, 4, 8, 32, 32, 16};
  const uint32_t slot = pv_flat_field(&g->flat, tensor, XTENSOR_TYPE);
  const uint16_t type = slot ? pv_read16(g->flat.data + slot) : 0;
  return type < sizeof bits ? bits[type] : 0;
}

int pv_graph_is_constant(const pv_graph* g, uint32_t tensor) {
  return pv_flat_int(&g->flat, tensor, XTENSOR_CONSTANT) != 0;
}

uint32_t pv_graph_tensor_of(const pv_graph* g, uint32_t value) {
  const uint32_t found = pv_flat_follow(&g->flat, value, XVALUE);
  return pv_flat_byte(&g->flat, value, XVALUE_TYPE) == XVALUE_TENSOR
             ? found
             : pv_flat_follow(&g->flat, found, QUANTIZED_TENSOR);
}

uint32_t pv_graph_tensor(const pv_graph* g, uint32_t id) {
  const pv_list values = pv_flat_list(&g->flat, g->root, GRAPH_VALUES);
  for (uint32_t i = 0; i < values.count && pv_afford_work(g->parts, 1); i++) {
    const uint32_t tensor = pv_graph_tensor_of(g, pv_flat_at(&g->flat, values, i));
    if (pv_flat_int(&g->flat, tensor, XTENSOR_ID) == id) return tensor;
  }
  return 0;
}

pv_shape pv_graph_shape(const pv_graph* g, uint32_t tensor) {
  const pv_list dims = pv_flat_list(&g->flat, tensor, XTENSOR_DIMS);
  pv_shape shape = {dims.count, {0}};
  for (uint32_t i = 0; i < dims.count && i < PV_DIMS; i++) shape.dims[i] = pv_read32(g->flat.data + dims.at + 4 * i);
  return shape;
}

uint64_t pv_shape_elements(const pv_shape* shape) {
  uint64_t elements = 1;
  for (uint32_t i = 0; i < shape->rank && i < PV_DIMS; i++) elements *= shape->dims[i];
  return elements;
}

int pv_shape_is(const pv_shape* a, const pv_shape* b) {
  if (a->rank != b->rank) return 0;
  for (uint32_t i = 0; i < a->rank && i < PV_DIMS; i++) {
    if (a->dims[i] != b->dims[i]) return 0;
  }
  return 1;
}

int pv_fields_within(const pv_graph* g, uint32_t node, int first, int count, uint32_t least) {
  for (int i = first; i < first + count; i++) {
    const uint32_t number = pv_flat_int(&g->flat, node, i);
    if (number < least || number > PV_LARGEST_STEP) return 0;
  }
  return 1;
}
