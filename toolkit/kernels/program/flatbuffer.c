#include "flatbuffer.h"

#include "../search/text.h"

uint16_t pv_read16(const uint8_t* p) { return (uint16_t)(p[0] | p[1] << 8); }
uint32_t pv_read32(const uint8_t* p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
uint64_t pv_read64(const uint8_t* p) { return (uint64_t)pv_read32(p) | (uint64_t)pv_read32(p + 4) << 32; }

enum { STEPS_PER_BYTE = 2 };

pv_flat pv_flat_of(const uint8_t* data, uint32_t size) {
  const pv_flat flat = {data, size, (uint64_t)size * STEPS_PER_BYTE};
  return flat;
}

int pv_flat_afford(pv_flat* flat, uint64_t count) {
  if (count > flat->steps) return 0;
  flat->steps -= count;
  return 1;
}

static int inside(const pv_flat* flat, uint64_t at, uint64_t bytes) { return at <= flat->size && bytes <= flat->size - at; }

static uint32_t element_bytes(pv_kind kind) {
  switch (kind) {
    case PV_BYTE:
    case PV_BYTES:
    case PV_STRING:
      return 1;
    case PV_SHORT:
      return 2;
    case PV_LONG:
    case PV_LONGS:
      return 8;
    default:
      return 4;
  }
}

static int is_scalar(pv_kind kind) { return kind >= PV_BYTE && kind <= PV_LONG; }

/* Where the offset at `at` points: 0 if outside. */
static uint32_t target(const pv_flat* flat, uint32_t at) {
  const uint64_t found = (uint64_t)at + pv_read32(flat->data + at);
  return found > at && found % 4 == 0 && inside(flat, found, 4) ? (uint32_t)found : 0;
}

static int is_list(pv_flat* flat, uint32_t at, pv_kind kind) {
  const uint64_t bytes = element_bytes(kind), count = pv_read32(flat->data + at);
  if ((at + 4) % bytes || !inside(flat, (uint64_t)at + 4, count * bytes)) return 0;
  if (kind != PV_STRING) return 1;
  if (!pv_flat_afford(flat, count)) return 0;
  if (!inside(flat, at + 4 + count, 1) || flat->data[at + 4 + count]) return 0;
  return pv_is_text(flat->data + at + 4, count, 1);
}

/* The table's own bytes and those of its vtable. */
static int is_table(const pv_flat* flat, uint32_t at) {
  const int64_t vtable = (int64_t)at - (int32_t)pv_read32(flat->data + at);
  if (vtable < 0 || vtable % 2 || !inside(flat, (uint64_t)vtable, 4)) return 0;
  const uint16_t described = pv_read16(flat->data + vtable), bytes = pv_read16(flat->data + vtable + 2);
  return described >= 4 && described % 2 == 0 && bytes >= 4 && inside(flat, (uint64_t)vtable, described) &&
         inside(flat, at, bytes);
}

static uint32_t table_bytes(const pv_flat* flat, uint32_t table) {
  return pv_read16(flat->data + table - (int32_t)pv_read32(flat->data + table) + 2);
}

static int check_table(pv_flat* flat, uint32_t at, const pv_table* schema);

static int check_tables(pv_flat* flat, uint32_t at, const pv_table* schema) {
  const uint32_t count = pv_read32(flat->data + at);
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t table = target(flat, at + 4 + 4 * i);
    const int broken = table ? check_table(flat, table, schema) : PV_FLAT_OUTSIDE;
    if (broken) return broken;
  }
  return PV_FLAT_SOUND;
}

static int check_target(pv_flat* flat, uint32_t slot, const pv_field* field, uint8_t member) {
  const uint32_t at = target(flat, slot);
  if (!at) return PV_FLAT_OUTSIDE;
  switch (field->kind) {
    case PV_TABLE:
      return check_table(flat, at, field->of);
    case PV_UNION:
      return check_table(flat, at, field->of->fields[member - 1].of);
    default:
      break;
  }
  if (!is_list(flat, at, field->kind)) return PV_FLAT_OUTSIDE;
  return field->kind == PV_TABLES ? check_tables(flat, at, field->of) : PV_FLAT_SOUND;
}

static int check_field(pv_flat* flat, uint32_t table, const pv_table* schema, int i) {
  const pv_field* field = &schema->fields[i];
  const uint32_t slot = pv_flat_field(flat, table, i);
  const uint8_t member = field->kind == PV_UNION ? pv_flat_byte(flat, table, i - 1) : 0;
  if (field->kind == PV_UNION && ((member == 0) != (slot == 0) || member > field->of->count)) return PV_FLAT_MISSING;
  if (field->kind == PV_GONE || !slot) return field->required && !slot ? PV_FLAT_MISSING : PV_FLAT_SOUND;
  const uint32_t bytes = is_scalar(field->kind) ? element_bytes(field->kind) : 4;
  if (slot + bytes > table + table_bytes(flat, table) || slot % bytes) return PV_FLAT_OUTSIDE;
  return is_scalar(field->kind) ? PV_FLAT_SOUND : check_target(flat, slot, field, member);
}

static int check_table(pv_flat* flat, uint32_t at, const pv_table* schema) {
  if (!pv_flat_afford(flat, 1) || !is_table(flat, at)) return PV_FLAT_OUTSIDE;
  for (int i = 0; i < schema->count; i++) {
    const int broken = check_field(flat, at, schema, i);
    if (broken) return broken;
  }
  return PV_FLAT_SOUND;
}

int pv_flat_check(pv_flat* flat, const pv_table* schema, uint32_t* root) {
  if (!inside(flat, 0, 8)) return PV_FLAT_OUTSIDE;
  *root = target(flat, 0);
  return *root ? check_table(flat, *root, schema) : PV_FLAT_OUTSIDE;
}

uint32_t pv_flat_field(const pv_flat* flat, uint32_t table, int field) {
  const uint8_t* vtable = flat->data + table - (int32_t)pv_read32(flat->data + table);
  const uint32_t entry = 4 + 2 * (uint32_t)field;
  const uint32_t offset = entry < pv_read16(vtable) ? pv_read16(vtable + entry) : 0;
  return offset ? table + offset : 0;
}

uint32_t pv_flat_follow(const pv_flat* flat, uint32_t table, int field) {
  const uint32_t slot = pv_flat_field(flat, table, field);
  return slot ? slot + pv_read32(flat->data + slot) : 0;
}

pv_list pv_flat_list(const pv_flat* flat, uint32_t table, int field) {
  const uint32_t at = pv_flat_follow(flat, table, field);
  const pv_list list = {at + 4, at ? pv_read32(flat->data + at) : 0};
  return list;
}

uint32_t pv_flat_at(const pv_flat* flat, pv_list list, uint32_t i) {
  const uint32_t slot = list.at + 4 * i;
  return slot + pv_read32(flat->data + slot);
}

uint8_t pv_flat_byte(const pv_flat* flat, uint32_t table, int field) {
  const uint32_t slot = pv_flat_field(flat, table, field);
  return slot ? flat->data[slot] : 0;
}

uint32_t pv_flat_int(const pv_flat* flat, uint32_t table, int field) {
  const uint32_t slot = pv_flat_field(flat, table, field);
  return slot ? pv_read32(flat->data + slot) : 0;
}

uint64_t pv_flat_long(const pv_flat* flat, uint32_t table, int field) {
  const uint32_t slot = pv_flat_field(flat, table, field);
  return slot ? pv_read64(flat->data + slot) : 0;
}
