#include <string.h>

#include "parts.h"
#include "schema.h"

static int is_value(const pv_parts* parts, uint32_t plan, uint32_t index) {
  return pv_value_kind(parts, plan, index) != 0;
}

/* 0, or the rule that a list of values breaks: each is there, and a tensor has a place for its bytes. */
static int check_names(pv_parts* parts, uint32_t plan, pv_list items) {
  if (!pv_flat_afford(&parts->flat, items.count)) return RULE_INSTRUCTIONS;
  for (uint32_t i = 0; i < items.count; i++) {
    const uint32_t index = pv_read32(parts->flat.data + items.at + 4 * i);
    if (!is_value(parts, plan, index)) return RULE_INSTRUCTIONS;
    if (!pv_has_place(parts, plan, index)) return RULE_TENSORS;
  }
  return 0;
}

/* A call of an operator (`kernel`) or of a delegate. */
static int check_call(pv_parts* parts, uint32_t plan, uint32_t call, int kernel) {
  const pv_list named = pv_flat_list(&parts->flat, plan, kernel ? PLAN_OPERATORS : PLAN_DELEGATES);
  const pv_list arguments = pv_flat_list(&parts->flat, call, CALL_ARGUMENTS);
  const uint32_t index = pv_flat_int(&parts->flat, call, CALL_INDEX);
  if (index >= named.count) return RULE_INSTRUCTIONS;
  const int broken = check_names(parts, plan, arguments);
  if (broken) return broken;
  return !kernel || pv_operator_takes(parts, plan, index, arguments) ? 0 : RULE_ARGUMENTS;
}

/* Calls alone. After a move a value is another than its checks were of; after a free, who reads the tensor in the next
 * run at the latest would read from nowhere; a jump back could go round for ever. */
static int check_instruction(pv_parts* parts, uint32_t plan, uint32_t instruction) {
  const uint32_t found = pv_flat_follow(&parts->flat, instruction, INSTRUCTION);
  switch (pv_flat_byte(&parts->flat, instruction, INSTRUCTION_TYPE)) {
    case CALL_KERNEL:
      return check_call(parts, plan, found, 1);
    case CALL_DELEGATE:
      return check_call(parts, plan, found, 0);
    default:
      return RULE_INSTRUCTIONS;
  }
}

int pv_check_instructions(pv_parts* parts, uint32_t plan) {
  const pv_list chains = pv_flat_list(&parts->flat, plan, PLAN_CHAINS);
  if (!chains.count) return RULE_FIELDS;
  const int inputs = check_names(parts, plan, pv_flat_list(&parts->flat, plan, PLAN_INPUTS));
  const int outputs = check_names(parts, plan, pv_flat_list(&parts->flat, plan, PLAN_OUTPUTS));
  if (inputs || outputs) return inputs ? inputs : outputs;
  for (uint32_t c = 0; c < chains.count; c++) {
    const pv_list steps = pv_flat_list(&parts->flat, pv_flat_at(&parts->flat, chains, c), CHAIN_INSTRUCTIONS);
    for (uint32_t i = 0; i < steps.count; i++) {
      const int broken = check_instruction(parts, plan, pv_flat_at(&parts->flat, steps, i));
      if (broken) return broken;
    }
  }
  return 0;
}

/* The data of a delegate, NULL if it has none; a delegate may have inline data of 0 bytes. */
static const uint8_t* delegate_data(const pv_parts* parts, uint32_t delegate, uint64_t* bytes) {
  const pv_flat* flat = &parts->flat;
  const uint32_t reference = pv_flat_follow(flat, delegate, DELEGATE_DATA);
  const uint32_t index = pv_flat_int(flat, reference, DATA_INDEX);
  const uint8_t location = pv_flat_byte(flat, reference, DATA_LOCATION);
  if (location == 1) return pv_segment(parts, index, bytes);
  const pv_list blobs = pv_flat_list(flat, parts->program, PROGRAM_INLINE);
  if (location || index >= blobs.count) return 0;
  const pv_list blob = pv_flat_list(flat, pv_flat_at(flat, blobs, index), 0);
  *bytes = blob.count;
  return flat->data + blob.at;
}

/* Every call of delegate `index` has the arguments that its graph takes. */
static int calls_fit(pv_parts* parts, uint32_t plan, uint32_t index, const pv_graph* graph) {
  const pv_flat* flat = &parts->flat;
  const pv_list chains = pv_flat_list(flat, plan, PLAN_CHAINS);
  for (uint32_t c = 0; c < chains.count; c++) {
    const pv_list steps = pv_flat_list(flat, pv_flat_at(flat, chains, c), CHAIN_INSTRUCTIONS);
    if (!pv_flat_afford(&parts->flat, steps.count / 8)) return 0; /* steps take 8 bytes and more each */
    for (uint32_t i = 0; i < steps.count; i++) {
      const uint32_t step = pv_flat_at(flat, steps, i), call = pv_flat_follow(flat, step, INSTRUCTION);
      if (pv_flat_byte(flat, step, INSTRUCTION_TYPE) != CALL_DELEGATE) continue;
      if (pv_flat_int(flat, call, CALL_INDEX) != index) continue;
      if (!pv_graph_takes(graph, parts, plan, pv_flat_list(flat, call, CALL_ARGUMENTS))) return 0;
    }
  }
  return 1;
}

int pv_check_delegates(pv_parts* parts, uint32_t plan) {
  const pv_list delegates = pv_flat_list(&parts->flat, plan, PLAN_DELEGATES);
  for (uint32_t i = 0; i < delegates.count; i++) {
    const uint32_t delegate = pv_flat_at(&parts->flat, delegates, i);
    uint64_t bytes = 0;
    pv_graph graph;
    const uint8_t* data = delegate_data(parts, delegate, &bytes);
    if (!data) return RULE_SEGMENTS;
    const uint32_t id = pv_flat_follow(&parts->flat, delegate, DELEGATE_ID);
    if (strcmp((const char*)parts->flat.data + id + 4, "XnnpackBackend")) return RULE_INSTRUCTIONS;
    const int broken = pv_check_graph(parts, data, bytes, &graph);
    if (broken) return broken;
    if (!calls_fit(parts, plan, i, &graph)) return RULE_ARGUMENTS;
  }
  return 0;
}
