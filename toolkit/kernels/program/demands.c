/* What operators demand of arguments beyond their kind: kernels divide by some numbers, and end the process by others. */
#include "parts.h"
#include "schema.h"

enum { FLOAT16 = 5, FLOAT64 = 7, BFLOAT16 = 15 }; /* ScalarType */

static uint32_t value_at(const pv_parts* parts, uint32_t plan, uint32_t index) {
  const pv_flat* flat = &parts->flat;
  return pv_flat_follow(flat, pv_flat_at(flat, pv_flat_list(flat, plan, PLAN_VALUES), index), VALUE);
}

static int64_t int_at(const pv_parts* parts, uint32_t plan, uint32_t index) {
  return (int64_t)pv_flat_long(&parts->flat, value_at(parts, plan, index), 0);
}

static int is_zero(const pv_parts* parts, uint32_t plan, uint32_t index) {
  const uint32_t value = value_at(parts, plan, index);
  switch (pv_value_kind(parts, plan, index)) {
    case VALUE_BOOL:
      return !pv_flat_byte(&parts->flat, value, 0);
    case VALUE_DOUBLE: /* of either sign */
      return (pv_flat_long(&parts->flat, value, 0) & ~((uint64_t)1 << 63)) == 0;
    default:
      return !pv_flat_long(&parts->flat, value, 0);
  }
}

static pv_list ints_at(const pv_parts* parts, uint32_t plan, uint32_t index) {
  return pv_flat_list(&parts->flat, value_at(parts, plan, index), ITEMS);
}

/* The i-th number of a checked list, whose items name values. */
static int64_t item(const pv_parts* parts, uint32_t plan, pv_list items, uint32_t i) {
  return int_at(parts, plan, (uint32_t)pv_read64(parts->flat.data + items.at + 8 * (uint64_t)i));
}

static int items_from(pv_parts* parts, uint32_t plan, uint32_t index, int64_t least) {
  const pv_list items = ints_at(parts, plan, index);
  if (!pv_flat_afford(&parts->flat, items.count)) return 0;
  for (uint32_t i = 0; i < items.count; i++) {
    const int64_t found = item(parts, plan, items, i);
    if (found < least || found > INT32_MAX) return 0;
  }
  return 1;
}

/* One size may be -1, what is left; then none is 0, which it would be divided by. */
static int is_view_size(pv_parts* parts, uint32_t plan, uint32_t index) {
  const pv_list items = ints_at(parts, plan, index);
  uint32_t left = 0, zeros = 0;
  if (!items_from(parts, plan, index, -1)) return 0;
  for (uint32_t i = 0; i < items.count; i++) {
    const int64_t size = item(parts, plan, items, i);
    left += size == -1;
    zeros += size == 0;
  }
  return left <= 1 && !(left && zeros);
}

static uint32_t size_of(const pv_parts* parts, uint32_t plan, uint32_t index, uint32_t axis) {
  const pv_list sizes = pv_flat_list(&parts->flat, pv_tensor_at(parts, plan, index), TENSOR_SIZES);
  return axis < sizes.count ? pv_read32(parts->flat.data + sizes.at + 4 * axis) : 0;
}

static uint32_t rank_of(const pv_parts* parts, uint32_t plan, uint32_t index) {
  return pv_flat_list(&parts->flat, pv_tensor_at(parts, plan, index), TENSOR_SIZES).count;
}

static int is_float(const pv_parts* parts, uint32_t plan, uint32_t index) {
  const uint8_t type = pv_flat_byte(&parts->flat, pv_tensor_at(parts, plan, index), TENSOR_TYPE);
  return (type >= FLOAT16 && type <= FLOAT64) || type == BFLOAT16;
}

/* One number for each output of the weights beside it: the kernel reads as many. */
static int is_bias(const pv_parts* parts, uint32_t plan, uint32_t index, pv_list arguments) {
  enum { WEIGHTS = 1, TRANSPOSED = 6, GROUPS = 8 };
  const uint8_t* named = parts->flat.data + arguments.at;
  const uint32_t weights = pv_read32(named + 4 * WEIGHTS), groups = pv_read32(named + 4 * GROUPS);
  if (pv_value_kind(parts, plan, weights) != VALUE_TENSOR || pv_value_kind(parts, plan, groups) != VALUE_INT) return 0;
  const int transposed = !is_zero(parts, plan, pv_read32(named + 4 * TRANSPOSED));
  const uint64_t outputs = size_of(parts, plan, weights, transposed);
  const int64_t times = transposed ? int_at(parts, plan, groups) : 1;
  return rank_of(parts, plan, index) == 1 && times >= 1 && times <= INT32_MAX &&
         size_of(parts, plan, index, 0) == outputs * (uint64_t)times;
}

int pv_meets_demand(pv_parts* parts, uint32_t plan, char letter, uint32_t index, pv_list arguments) {
  const int optional = letter >= 'a' && letter <= 'z';
  if (optional && pv_value_kind(parts, plan, index) == VALUE_NULL) return 1;
  switch (optional ? letter - 'a' + 'A' : letter) {
    case 'P':
      return int_at(parts, plan, index) >= 1 && int_at(parts, plan, index) <= INT32_MAX;
    case 'H':
      return !is_zero(parts, plan, index);
    case 'K':
      return items_from(parts, plan, index, 1);
    case 'Z':
      return items_from(parts, plan, index, 0);
    case 'E':
      return is_view_size(parts, plan, index);
    case 'G':
      return is_float(parts, plan, index);
    case 'R':
      return rank_of(parts, plan, index) >= 1;
    case '2':
    case '3':
      return rank_of(parts, plan, index) == (uint32_t)(letter - '0');
    case 'C':
      return is_bias(parts, plan, index, arguments);
    default:
      return 1;
  }
}
