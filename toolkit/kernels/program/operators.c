/* What an operator's arguments must be: the runtime's kernels take the kind they expect without asking. */
#include <string.h>

#include "parts.h"
#include "schema.h"

/* One letter an argument: T tensor, N number, I int, F float, B bool, S string, L ints, D floats, A bools, V tensors,
 * W tensors or none; small letters may be none. O is a tensor and U tensors that the kernel writes, * what it returns
 * of them; Y is a tensor that becomes the first argument's bytes. Stricter ones, of what kernels divide by or take on
 * trust (demands.c): P an int of 1 or more, H a number that is not 0, K and Z ints of 1 and of 0 or more each, E the sizes
 * of a view, G a tensor of floats, 2 and 3 tensors of as many sizes, R one of any size, C a convolution's bias. X alone:
 * refused, since it gives a number, and what takes that would have to be checked as it runs, or since no program of
 * inference has it. */
#define SIGNATURE(name, kinds) name "\0" kinds "\0"
/* Pairs of strings, an empty name at the end: a table of pointers would be twice as large in a shared library. */
static const char signatures[] =
#include "signatures.inc"
    ;

enum { LONGEST_NAME = 100 }; /* of an operator */

static int is_kind(char letter, int kind) {
  const int optional = letter >= 'a' && letter <= 'z';
  if (letter == '*' || (optional && kind == VALUE_NULL)) return 1;
  switch (optional ? letter - 'a' + 'A' : letter) {
    case 'T':
    case 'O':
    case 'Y':
    case 'G':
    case 'R':
    case 'C':
    case '2':
    case '3':
      return kind == VALUE_TENSOR;
    case 'N':
    case 'H':
      return kind == VALUE_INT || kind == VALUE_DOUBLE || kind == VALUE_BOOL;
    case 'I':
    case 'P':
      return kind == VALUE_INT;
    case 'F':
      return kind == VALUE_DOUBLE;
    case 'B':
      return kind == VALUE_BOOL;
    case 'S':
      return kind == VALUE_STRING;
    case 'L':
    case 'K':
    case 'Z':
    case 'E':
      return kind == VALUE_INTS;
    case 'D':
      return kind == VALUE_DOUBLES;
    case 'A':
      return kind == VALUE_BOOLS;
    case 'V':
    case 'U':
      return kind == VALUE_TENSORS;
    case 'W':
      return kind == VALUE_OPTIONAL_TENSORS;
    default:
      return 0;
  }
}

/* Whether `full` is "name" or "name.overload". */
static int is_named(const char* full, const char* name, const char* overload) {
  const size_t length = strlen(name);
  if (strncmp(full, name, length)) return 0;
  if (!*overload) return full[length] == 0;
  return full[length] == '.' && !strcmp(full + length + 1, overload);
}

static const char* kinds_of(const pv_flat* flat, uint32_t operator_) {
  const uint32_t name = pv_flat_follow(flat, operator_, OPERATOR_NAME);
  const uint32_t overload = pv_flat_follow(flat, operator_, OPERATOR_OVERLOAD);
  if (pv_read32(flat->data + name) > LONGEST_NAME) return 0; /* compared with every name, at every call */
  const char* first = (const char*)flat->data + name + 4;
  const char* second = overload ? (const char*)flat->data + overload + 4 : "";
  for (const char *each = signatures, *kinds; *each; each = kinds + strlen(kinds) + 1) {
    kinds = each + strlen(each) + 1;
    if (is_named(each, first, second)) return kinds;
  }
  return 0;
}

/* A kernel in place sets the value that it returns: of one tensor written it is that one. A list it does not set. */
static int returns_what_it_writes(const pv_flat* flat, const char* kinds, pv_list arguments) {
  const char *written = strchr(kinds, 'O'), *returned = strchr(kinds, '*');
  if (!written || !returned || strchr(written + 1, 'O')) return 1;
  return pv_read32(flat->data + arguments.at + 4 * (uint32_t)(written - kinds)) ==
         pv_read32(flat->data + arguments.at + 4 * (uint32_t)(returned - kinds));
}

int pv_operator_takes(pv_parts* parts, uint32_t plan, uint32_t operator_, pv_list arguments) {
  const pv_flat* flat = &parts->flat;
  const pv_list operators = pv_flat_list(flat, plan, PLAN_OPERATORS);
  const char* kinds = kinds_of(flat, pv_flat_at(flat, operators, operator_));
  if (!kinds || arguments.count != strlen(kinds)) return 0;
  pv_list given = arguments;
  given.count -= strchr(kinds, '*') != 0;
  if (!returns_what_it_writes(flat, kinds, arguments)) return 0;
  for (uint32_t i = 0; i < arguments.count; i++) {
    const uint32_t index = pv_read32(flat->data + arguments.at + 4 * i);
    if (!is_kind(kinds[i], pv_value_kind(parts, plan, index))) return 0;
    if (!pv_meets_demand(parts, plan, kinds[i], index, arguments)) return 0;
    if ((kinds[i] == 'O' || kinds[i] == 'U') && !pv_may_write(parts, plan, given, i)) return 0;
    if (kinds[i] == 'Y' && !pv_is_view(parts, plan, index, pv_read32(flat->data + arguments.at))) return 0;
  }
  return 1;
}
