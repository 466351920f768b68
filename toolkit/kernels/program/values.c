#include "parts.h"
#include "schema.h"

enum { SIZES = 16 };                                        /* ExecuTorch's own limit */
static const uint64_t LARGEST_TENSOR = INT32_MAX;           /* elements: kernels count in int32 */
static const uint64_t LARGEST_MEMORY = (uint64_t)4 << 30;   /* bytes of activations: more fits no phone */

uint32_t pv_element_bytes(uint8_t type) {
  static const uint8_t bytes[] = {1, 1, 2, 4, 8, 2, 4, 8, 0, 0, 0, 1, 1, 1, 4, 2, 1, 1,
                                  0, 0, 0, 0, 2, 1, 1, 1, 1, 2, 4, 8};
  return type < sizeof bytes ? bytes[type] : 0;
}

int pv_value_kind(const pv_parts* parts, uint32_t plan, uint32_t index) {
  const pv_list values = pv_flat_list(&parts->flat, plan, PLAN_VALUES);
  return index < values.count ? pv_flat_byte(&parts->flat, pv_flat_at(&parts->flat, values, index), VALUE_TYPE) : 0;
}

uint64_t pv_tensor_bytes(const pv_flat* flat, uint32_t tensor, int* sound) {
  const pv_list sizes = pv_flat_list(flat, tensor, TENSOR_SIZES), order = pv_flat_list(flat, tensor, TENSOR_ORDER);
  const uint64_t width = pv_element_bytes(pv_flat_byte(flat, tensor, TENSOR_TYPE));
  uint64_t elements = 1, seen = 0;
  *sound = width && sizes.count <= SIZES && order.count == sizes.count;
  for (uint32_t i = 0; *sound && i < sizes.count; i++) {
    const uint32_t size = pv_read32(flat->data + sizes.at + 4 * i), axis = flat->data[order.at + i];
    *sound = size <= INT32_MAX && axis < sizes.count && !(seen >> axis & 1);
    seen |= (uint64_t)1 << (axis & 63);
    elements *= size;
    *sound = *sound && elements <= LARGEST_TENSOR;
  }
  return elements * width;
}

/* Whether entry `index` of offsets into a segment has room for `bytes`. */
static int fits_segment(const pv_parts* parts, uint32_t subsegments, uint32_t index, uint64_t bytes, uint32_t align) {
  uint64_t segment = 0;
  const pv_list offsets = pv_flat_list(&parts->flat, subsegments, SUBSEGMENT_OFFSETS);
  if (index >= offsets.count) return 0;
  const uint8_t* data = pv_segment(parts, pv_flat_int(&parts->flat, subsegments, SUBSEGMENT_INDEX), &segment);
  const uint64_t offset = pv_read64(parts->flat.data + offsets.at + 8 * (uint64_t)index);
  return data && offset <= segment && bytes <= segment - offset && (uint64_t)(data - parts->flat.data + offset) % align == 0;
}

static int fits_constants(const pv_parts* parts, uint32_t index, uint64_t bytes, uint32_t align) {
  const pv_flat* flat = &parts->flat;
  const uint32_t constants = pv_flat_follow(flat, parts->program, PROGRAM_CONSTANTS);
  if (constants && pv_flat_list(flat, constants, SUBSEGMENT_OFFSETS).count > 1) {
    return fits_segment(parts, constants, index, bytes, align);
  }
  const pv_list buffers = pv_flat_list(flat, parts->program, PROGRAM_BUFFERS);
  if (index >= buffers.count) return 0;
  const pv_list storage = pv_flat_list(flat, pv_flat_at(flat, buffers, index), BUFFER_STORAGE);
  return storage.count == bytes && storage.at % align == 0;
}

uint64_t pv_memory_offset(const pv_flat* flat, uint32_t memory) {
  return pv_flat_int(flat, memory, MEMORY_LOW) | (uint64_t)pv_flat_int(flat, memory, MEMORY_HIGH) << 32;
}

static int fits_memory(const pv_flat* flat, uint32_t plan, uint32_t memory, uint64_t bytes, uint32_t align) {
  const pv_list planned = pv_flat_list(flat, plan, PLAN_MEMORY);
  const uint32_t id = pv_flat_int(flat, memory, MEMORY_ID);
  const uint64_t offset = pv_memory_offset(flat, memory);
  if (!id || id >= planned.count) return 0;
  const uint64_t size = pv_read64(flat->data + planned.at + 8 * (uint64_t)id);
  return offset <= size && bytes <= size - offset && offset % align == 0;
}

static int fits_initial(const pv_parts* parts, uint32_t tensor, uint32_t index, uint64_t bytes, uint32_t align) {
  const pv_list mutables = pv_flat_list(&parts->flat, parts->program, PROGRAM_MUTABLE);
  const uint32_t extra = pv_flat_follow(&parts->flat, tensor, TENSOR_EXTRA);
  const uint64_t which = extra ? pv_flat_long(&parts->flat, extra, EXTRA_MUTABLE) : 0;
  return which < mutables.count &&
         fits_segment(parts, pv_flat_at(&parts->flat, mutables, (uint32_t)which), index, bytes, align);
}

static int check_tensor(const pv_parts* parts, uint32_t plan, uint32_t tensor) {
  const pv_flat* flat = &parts->flat;
  int sound = 0;
  const uint64_t bytes = pv_tensor_bytes(flat, tensor, &sound);
  if (!sound || pv_flat_int(flat, tensor, TENSOR_STORAGE_OFFSET)) return RULE_TENSORS;
  if (pv_flat_byte(flat, tensor, TENSOR_DYNAMISM) > 1) return RULE_TENSORS;
  const uint32_t extra = pv_flat_follow(flat, tensor, TENSOR_EXTRA);
  const int external = extra && pv_flat_byte(flat, extra, EXTRA_LOCATION);
  if (external && !pv_flat_follow(flat, extra, EXTRA_NAME)) return RULE_TENSORS;
  if (extra && pv_flat_byte(flat, extra, EXTRA_DEVICE)) return RULE_TENSORS;
  const uint32_t align = pv_element_bytes(pv_flat_byte(flat, tensor, TENSOR_TYPE));
  const uint32_t index = pv_flat_int(flat, tensor, TENSOR_BUFFER);
  const uint32_t memory = pv_flat_follow(flat, tensor, TENSOR_MEMORY);
  if (memory && !fits_memory(flat, plan, memory, bytes, align)) return RULE_TENSORS;
  if (!index || external) return 0;
  const int fits = memory ? fits_initial(parts, tensor, index, bytes, align) : fits_constants(parts, index, bytes, align);
  return fits ? 0 : RULE_TENSORS;
}

uint32_t pv_tensor_at(const pv_parts* parts, uint32_t plan, uint32_t index) {
  const pv_flat* flat = &parts->flat;
  return pv_flat_follow(flat, pv_flat_at(flat, pv_flat_list(flat, plan, PLAN_VALUES), index), VALUE);
}

int pv_is_planned(const pv_parts* parts, uint32_t plan, uint32_t index) {
  const uint32_t tensor = pv_tensor_at(parts, plan, index);
  int sound = 0;
  return pv_flat_follow(&parts->flat, tensor, TENSOR_MEMORY) || !pv_tensor_bytes(&parts->flat, tensor, &sound);
}

int pv_has_place(pv_parts* parts, uint32_t plan, uint32_t index) {
  const pv_flat* flat = &parts->flat;
  if (pv_value_kind(parts, plan, index) != VALUE_TENSOR) return 1;
  const uint32_t tensor = pv_tensor_at(parts, plan, index);
  const uint32_t extra = pv_flat_follow(flat, tensor, TENSOR_EXTRA);
  if (pv_flat_int(flat, tensor, TENSOR_BUFFER) || pv_flat_follow(flat, tensor, TENSOR_MEMORY)) return 1;
  int sound = 0;
  if ((extra && pv_flat_byte(flat, extra, EXTRA_LOCATION)) || !pv_tensor_bytes(flat, tensor, &sound)) return 1;
  const pv_list inputs = pv_flat_list(flat, plan, PLAN_INPUTS);
  if (!pv_flat_afford(&parts->flat, inputs.count)) return 0;
  for (uint32_t i = 0; i < inputs.count; i++) {
    if (pv_read32(flat->data + inputs.at + 4 * i) == index) return 1;
  }
  return 0;
}

/* Lists of int32 that name tensors: those stand before the list, which the runtime builds at once. */
static int check_tensor_list(pv_parts* parts, uint32_t plan, uint32_t self, uint32_t list, int optional) {
  const pv_list items = pv_flat_list(&parts->flat, list, ITEMS);
  if (!pv_flat_afford(&parts->flat, items.count)) return RULE_OFFSETS;
  for (uint32_t i = 0; i < items.count; i++) {
    const uint32_t index = pv_read32(parts->flat.data + items.at + 4 * i);
    if (optional && index == UINT32_MAX) continue;
    const int kind = index < self ? pv_value_kind(parts, plan, index) : 0;
    if (kind != VALUE_TENSOR && !(optional && kind == VALUE_NULL)) return RULE_LISTS;
    if (!pv_has_place(parts, plan, index)) return RULE_TENSORS;
  }
  return 0;
}

static int check_int_list(pv_parts* parts, uint32_t plan, uint32_t list) {
  const pv_list items = pv_flat_list(&parts->flat, list, ITEMS);
  if (!pv_flat_afford(&parts->flat, items.count)) return RULE_OFFSETS;
  for (uint32_t i = 0; i < items.count; i++) {
    const uint64_t index = pv_read64(parts->flat.data + items.at + 8 * (uint64_t)i);
    if (index > UINT32_MAX || pv_value_kind(parts, plan, (uint32_t)index) != VALUE_INT) return RULE_LISTS;
  }
  return 0;
}

static int check_value(pv_parts* parts, uint32_t plan, uint32_t index, uint32_t value) {
  const uint32_t found = pv_flat_follow(&parts->flat, value, VALUE);
  switch (pv_flat_byte(&parts->flat, value, VALUE_TYPE)) {
    case VALUE_TENSOR:
      return check_tensor(parts, plan, found);
    case VALUE_INTS:
      return check_int_list(parts, plan, found);
    case VALUE_TENSORS:
      return check_tensor_list(parts, plan, index, found, 0);
    case VALUE_OPTIONAL_TENSORS:
      return check_tensor_list(parts, plan, index, found, 1);
    default:
      return 0;
  }
}

static int check_memory(pv_parts* parts, uint32_t plan) {
  const pv_list planned = pv_flat_list(&parts->flat, plan, PLAN_MEMORY);
  uint64_t total = 0;
  for (uint32_t i = 0; i < planned.count; i++) {
    const uint64_t bytes = pv_read64(parts->flat.data + planned.at + 8 * (uint64_t)i);
    if (bytes > LARGEST_MEMORY || (total += bytes) > LARGEST_MEMORY) return RULE_TENSORS;
  }
  return 0;
}

int pv_check_values(pv_parts* parts, uint32_t plan) {
  const pv_list values = pv_flat_list(&parts->flat, plan, PLAN_VALUES);
  int broken = check_memory(parts, plan);
  for (uint32_t i = 0; i < values.count && !broken; i++) {
    broken = check_value(parts, plan, i, pv_flat_at(&parts->flat, values, i));
  }
  return broken;
}
