#include "parts.h"
#include "schema.h"

const uint8_t* pv_segment(const pv_parts* parts, uint32_t index, uint64_t* bytes) {
  const pv_list segments = pv_flat_list(&parts->flat, parts->program, PROGRAM_SEGMENTS);
  if (index >= segments.count) return 0;
  const uint32_t segment = pv_flat_at(&parts->flat, segments, index);
  const uint64_t offset = pv_flat_long(&parts->flat, segment, SEGMENT_OFFSET);
  *bytes = pv_flat_long(&parts->flat, segment, SEGMENT_BYTES);
  if (offset > parts->segment_bytes || *bytes > parts->segment_bytes - offset) return 0;
  return parts->segments + offset;
}

/* Offsets of tensors inside one segment. */
static int check_subsegments(pv_parts* parts, uint32_t table) {
  uint64_t bytes = 0;
  const pv_list offsets = pv_flat_list(&parts->flat, table, SUBSEGMENT_OFFSETS);
  if (offsets.count <= 1) return 0; /* the first one stands for tensors without data: nothing is loaded */
  if (!pv_segment(parts, pv_flat_int(&parts->flat, table, SUBSEGMENT_INDEX), &bytes)) return RULE_SEGMENTS;
  if (!pv_flat_afford(&parts->flat, offsets.count)) return RULE_OFFSETS;
  for (uint32_t i = 0; i < offsets.count; i++) {
    if (pv_read64(parts->flat.data + offsets.at + 8 * (uint64_t)i) > bytes) return RULE_SEGMENTS;
  }
  return 0;
}

static int check_constants(pv_parts* parts) {
  const uint32_t constants = pv_flat_follow(&parts->flat, parts->program, PROGRAM_CONSTANTS);
  if (!constants) return 0;
  const pv_list offsets = pv_flat_list(&parts->flat, constants, SUBSEGMENT_OFFSETS);
  const pv_list buffers = pv_flat_list(&parts->flat, parts->program, PROGRAM_BUFFERS);
  if (offsets.count > 1 && buffers.count) return RULE_SEGMENTS;
  return check_subsegments(parts, constants);
}

int pv_check_segments(pv_parts* parts) {
  const pv_flat* flat = &parts->flat;
  uint64_t bytes = 0;
  const pv_list segments = pv_flat_list(flat, parts->program, PROGRAM_SEGMENTS);
  for (uint32_t i = 0; i < segments.count; i++) {
    if (!pv_segment(parts, i, &bytes)) return RULE_SEGMENTS;
  }
  const pv_list named = pv_flat_list(flat, parts->program, PROGRAM_NAMED);
  for (uint32_t i = 0; i < named.count; i++) {
    const uint32_t entry = pv_flat_at(flat, named, i);
    if (pv_flat_int(flat, entry, NAMED_SEGMENT) >= segments.count) return RULE_SEGMENTS;
  }
  const pv_list mutables = pv_flat_list(flat, parts->program, PROGRAM_MUTABLE);
  for (uint32_t i = 0; i < mutables.count; i++) {
    const int broken = check_subsegments(parts, pv_flat_at(flat, mutables, i));
    if (broken) return broken;
  }
  return check_constants(parts);
}
