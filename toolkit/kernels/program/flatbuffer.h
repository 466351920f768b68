/* FlatBuffers read from bytes nobody vouches for: a schema as data, one walk that checks every offset against it, and
 * accessors that are safe after the walk. Format: https://flatbuffers.dev/internals, little-endian. */
#ifndef POCKETVLAD_FLATBUFFER_H
#define POCKETVLAD_FLATBUFFER_H

#include <stdint.h>

typedef enum pv_kind {
  PV_GONE, /* a field of the format's past: never read */
  PV_BYTE,
  PV_SHORT,
  PV_INT,
  PV_ID, /* PV_INT that names a value of an XNNPACK graph */
  PV_MADE_ID, /* PV_ID of a value that the node makes */
  PV_LONG,
  PV_STRING,
  PV_BYTES,
  PV_INTS,
  PV_LONGS,
  PV_TABLE,
  PV_TABLES,
  PV_UNION /* the field before it is its type: 0 none, n the n-th field of `of` */
} pv_kind;

typedef struct pv_table pv_table;
typedef struct pv_field {
  pv_kind kind;
  int required;
  const pv_table* of;
} pv_field;
struct pv_table {
  const pv_field* fields;
  int count;
};

/* A buffer and what checking it may still cost. Offsets may share their targets, so that a few bytes could ask for
 * endless work; a writer's own file needs less than one step per byte. */
typedef struct pv_flat {
  const uint8_t* data;
  uint32_t size; /* bytes, below 2^31 */
  uint64_t steps;
} pv_flat;

typedef struct pv_list {
  uint32_t at, count; /* first element, elements */
} pv_list;

enum { PV_FLAT_SOUND = 0, PV_FLAT_OUTSIDE, PV_FLAT_MISSING };

uint16_t pv_read16(const uint8_t* p);
uint32_t pv_read32(const uint8_t* p);
uint64_t pv_read64(const uint8_t* p);

pv_flat pv_flat_of(const uint8_t* data, uint32_t size);
/* Takes `count` steps; 0 when none are left. */
int pv_flat_afford(pv_flat* flat, uint64_t count);
/* Checks the root table and everything below it; its position goes to `root`. */
int pv_flat_check(pv_flat* flat, const pv_table* schema, uint32_t* root);

/* Of a checked table: a field's position, 0 where it is absent. */
uint32_t pv_flat_field(const pv_flat* flat, uint32_t table, int field);
/* The table, string or list that a field points at, 0 where it is absent. */
uint32_t pv_flat_follow(const pv_flat* flat, uint32_t table, int field);
pv_list pv_flat_list(const pv_flat* flat, uint32_t table, int field);
/* The i-th table of a list of tables. */
uint32_t pv_flat_at(const pv_flat* flat, pv_list list, uint32_t i);
uint8_t pv_flat_byte(const pv_flat* flat, uint32_t table, int field);
uint32_t pv_flat_int(const pv_flat* flat, uint32_t table, int field);
uint64_t pv_flat_long(const pv_flat* flat, uint32_t table, int field);

#endif
