#include "check.h"

#include <string.h>

#include "parts.h"
#include "schema.h"

/* Word for word docs/formats.md's, in the order they are checked. */
static const char* const rules[] = {
    "",
    "1: the file holds all of a program of ExecuTorch's format ET12: header, flatbuffer and segments",
    "2: what stands behind the last segment is the seal of the bytes before it",
    "3: every offset of the flatbuffer leads to a whole table, list or UTF-8 text inside it",
    "4: every field that a program needs is there, and every union has a known type",
    "5: constants, named data and segments lie inside the file",
    "6: every tensor has a known type, at most 16 sizes, fewer than 2^31 elements, and a place with bytes enough; an input may have none",
    "7: every list of values names values of its own kind",
    "8: every instruction calls an operator or an XNNPACK delegate that exists, with values that exist",
    "9: every operator is known; a call gets arguments of its own kinds and sizes, none of them a 0 to divide by, and writes planned memory where none of them lies",
    "10: every XNNPACK graph is whole: its header, tables and constants lie inside it; all of them are few enough to check",
    "11: every value of an XNNPACK graph has a known type, 1 to 6 sizes, a number of its own, and constants as long as it says",
    "12: every node of an XNNPACK graph names values that the graph has, and makes none that it is given",
    "13: every node of an XNNPACK graph is known, has weights of the sizes it says, and makes a value of the size the graph says",
};
enum { RULES = sizeof rules / sizeof rules[0] };

const char* pv_program_rule(int rule) { return rule > 0 && rule < RULES ? rules[rule] : ""; }

enum { HEADER = 8, SHORT_HEADER = 24, FULL_HEADER = 32, SMALLEST = 64 };
static const uint64_t LARGEST = (uint64_t)1 << 31; /* bytes of a flatbuffer: its offsets are signed */
static const uint64_t WORK = (uint64_t)1 << 25;    /* of all graphs: less than a second; 1,000 values need a million */

int pv_afford_work(pv_parts* parts, uint64_t steps) {
  const int enough = steps < parts->work;
  parts->work = enough ? parts->work - steps : 0;
  return enough;
}

/* Where everything lies; the end of the last byte the runtime reads goes to `end`. */
static int check_container(const uint8_t* data, uint64_t size, pv_parts* parts, uint64_t* end) {
  if (size < SMALLEST || memcmp(data + 4, "ET12", 4)) return RULE_WHOLE;
  if (memcmp(data + HEADER, "eh00", 4)) return RULE_WHOLE; /* written by every exporter since 2023 */
  const uint32_t length = pv_read32(data + HEADER + 4);
  const uint64_t program = pv_read64(data + HEADER + 8), base = pv_read64(data + HEADER + 16);
  if (length < FULL_HEADER || length > program || program > size || program >= LARGEST) return RULE_WHOLE;
  const uint64_t segments = pv_read64(data + HEADER + 24);
  if (base ? base < program || base > size || segments > size - base : segments != 0) return RULE_WHOLE;
  parts->flat = pv_flat_of(data, (uint32_t)program);
  parts->segments = data + base;
  parts->segment_bytes = segments;
  parts->work = WORK;
  *end = base ? base + segments : program;
  return 0;
}

/* What follows the program is nothing, or the seal. */
static int check_end(const uint8_t* data, uint64_t size, uint64_t end, int* sealed) {
  *sealed = size != end;
  if (!*sealed) return 0;
  return size - end >= PV_SEAL && pv_seal_holds(data, size) ? 0 : RULE_SEAL;
}

static int check_plan(pv_parts* parts, uint32_t plan) {
  int broken = pv_check_values(parts, plan);
  if (!broken) broken = pv_check_instructions(parts, plan);
  return broken ? broken : pv_check_delegates(parts, plan);
}

int pv_program_check(const uint8_t* data, size_t size, int* sealed) {
  pv_parts parts;
  uint64_t end = 0;
  int ignored, broken = check_container(data, size, &parts, &end);
  if (!broken) broken = check_end(data, size, end, sealed ? sealed : &ignored);
  if (broken) return broken;
  const int flat = pv_flat_check(&parts.flat, &pv_program_schema, &parts.program);
  if (flat) return flat == PV_FLAT_MISSING ? RULE_FIELDS : RULE_OFFSETS;
  const pv_list plans = pv_flat_list(&parts.flat, parts.program, PROGRAM_PLANS);
  if (!plans.count) return RULE_FIELDS;
  broken = pv_check_segments(&parts);
  for (uint32_t i = 0; i < plans.count && !broken; i++) broken = check_plan(&parts, pv_flat_at(&parts.flat, plans, i));
  return broken;
}
