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
  const uint32_t tensor = pv_tensor_at(parts, plan, index);
  const uint32_t memory = pv_flat_follow(flat, tensor, TENSOR_MEMORY);
  if (!memory) return found;
  int sound = 0;
  found.memory = pv_flat_int(flat, memory, MEMORY_ID);
  found.from = pv_memory_offset(flat, memory);
  found.to = found.from + pv_tensor_bytes(flat, tensor, &sound);
  return found;
}

static int spans_apart(span a, span b) { return a.memory != b.memory || a.to <= b.from || b.to <= a.from; }

int pv_is_view(const pv_parts* parts, uint32_t plan, uint32_t index, uint32_t of) {
  const span view = span_of(parts, plan, index), base = span_of(parts, plan, of);
  return view.memory && view.memory == base.memory && view.from == base.from && view.to == base.to;
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

/* A tensor from another value, or from each tensor of a list. */
static int apart(pv_parts* parts, uint32_t plan, uint32_t tensor, uint32_t other) {
  const pv_list others = items_of(parts, plan, other);
  const span written = span_of(parts, plan, tensor);
  if (!pv_flat_afford(&parts->flat, 1 + others.count)) return 0;
  for (uint32_t i = 0; i < others.count; i++) {
    const uint32_t each = item(parts, others, i);
    if (each != tensor && !spans_apart(written, span_of(parts, plan, each))) return 0;
  }
  return spans_apart(written, span_of(parts, plan, other));
}

static int may_write_tensor(pv_parts* parts, uint32_t plan, uint32_t tensor, pv_list arguments, uint32_t at) {
  if (!pv_is_planned(parts, plan, tensor)) return 0;
  for (uint32_t i = 0; i < arguments.count; i++) {
    if (i != at && !apart(parts, plan, tensor, item(parts, arguments, i))) return 0;
  }
  return 1;
}

int pv_may_write(pv_parts* parts, uint32_t plan, pv_list arguments, uint32_t at) {
  const uint32_t index = item(parts, arguments, at);
  const pv_list items = items_of(parts, plan, index);
  for (uint32_t i = 0; i < items.count; i++) {
    const uint32_t each = item(parts, items, i);
    if (!may_write_tensor(parts, plan, each, arguments, at) || !apart(parts, plan, each, index)) return 0;
  }
  return pv_value_kind(parts, plan, index) != VALUE_TENSOR || may_write_tensor(parts, plan, index, arguments, at);
}
