#include "parts.h"
#include "schema.h"

/* Bytes of planned memory; none where `from` is `to`. */
typedef struct span {
  uint32_t memory;
  uint64_t from, to;
} span;

static span span_of(const pv_parts* parts, uint32_t plan, uint32_t index) {
  const pv_flat* flat = &parts->flat;
  span found = {0, 0, 0};
  if (pv_value_kind(parts, plan, index) != VALUE_TENSOR) return found;
  const uint32_t tensor = pv_flat_follow(flat, pv_flat_at(flat, pv_flat_list(flat, plan, PLAN_VALUES), index), VALUE);
  const uint32_t memory = pv_flat_follow(flat, tensor, TENSOR_MEMORY);
  if (!memory) return found;
  int sound = 0;
  found.memory = pv_flat_int(flat, memory, MEMORY_ID);
  found.from = pv_memory_offset(flat, memory);
  found.to = found.from + pv_tensor_bytes(flat, tensor, &sound);
  return found;
}

static int spans_apart(span a, span b) {
  return a.memory != b.memory || a.from == b.from || a.to <= b.from || b.to <= a.from;
}

/* The values in a list of tensors; none in other values. */
static pv_list items_of(const pv_parts* parts, uint32_t plan, uint32_t index) {
  const pv_flat* flat = &parts->flat;
  const int kind = pv_value_kind(parts, plan, index);
  if (kind != VALUE_TENSORS && kind != VALUE_OPTIONAL_TENSORS) return (pv_list){0, 0};
  const uint32_t value = pv_flat_at(flat, pv_flat_list(flat, plan, PLAN_VALUES), index);
  return pv_flat_list(flat, pv_flat_follow(flat, value, VALUE), ITEMS);
}

static uint32_t item(const pv_parts* parts, pv_list list, uint32_t i) {
  return pv_read32(parts->flat.data + list.at + 4 * i);
}

/* Two values; of lists each tensor in them. */
static int apart(pv_parts* parts, uint32_t plan, uint32_t a, uint32_t b) {
  const pv_list in_a = items_of(parts, plan, a), in_b = items_of(parts, plan, b);
  if (!pv_flat_afford(&parts->flat, 1)) return 0;
  for (uint32_t i = 0; i < in_a.count; i++) {
    if (!apart(parts, plan, item(parts, in_a, i), b)) return 0;
  }
  for (uint32_t i = 0; i < in_b.count; i++) {
    if (!apart(parts, plan, a, item(parts, in_b, i))) return 0;
  }
  return spans_apart(span_of(parts, plan, a), span_of(parts, plan, b));
}

int pv_tensors_apart(pv_parts* parts, uint32_t plan, pv_list arguments) {
  for (uint32_t i = 0; i < arguments.count; i++) {
    const uint32_t first = item(parts, arguments, i);
    if (!items_of(parts, plan, first).count && span_of(parts, plan, first).to == 0) continue; /* takes no memory */
    for (uint32_t j = i + 1; j < arguments.count; j++) {
      if (!apart(parts, plan, first, item(parts, arguments, j))) return 0;
    }
  }
  return 1;
}
