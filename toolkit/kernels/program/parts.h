/* What the files of this folder share. */
#ifndef POCKETVLAD_PROGRAM_PARTS_H
#define POCKETVLAD_PROGRAM_PARTS_H

#include "flatbuffer.h"

/* The rules, by number: check.c says them. */
enum {
  RULE_WHOLE = 1,
  RULE_SEAL,
  RULE_OFFSETS,
  RULE_FIELDS,
  RULE_SEGMENTS,
  RULE_TENSORS,
  RULE_LISTS,
  RULE_INSTRUCTIONS,
  RULE_ARGUMENTS,
  RULE_GRAPH,
  RULE_GRAPH_VALUES,
  RULE_GRAPH_NODES,
  RULE_GRAPH_SIZES
};

/* A program whose flatbuffer has been walked. */
typedef struct pv_parts {
  pv_flat flat;
  uint32_t program; /* the root table */
  const uint8_t* segments;
  uint64_t segment_bytes; /* from the first segment to the end of the last */
  uint64_t work;          /* steps that all graphs together may still cost */
} pv_parts;

/* Takes steps of work; 0 when they are spent. Graphs share constants, names and whole graphs, and look values up one by
 * one: a small file could ask for hours. */
int pv_afford_work(pv_parts* parts, uint64_t steps);

/* Bytes of a segment, NULL if there is none of this number or it lies outside. */
const uint8_t* pv_segment(const pv_parts* parts, uint32_t index, uint64_t* bytes);
/* Each 0 or a rule. */
int pv_check_segments(pv_parts* parts);
int pv_check_values(pv_parts* parts, uint32_t plan);
int pv_check_instructions(pv_parts* parts, uint32_t plan);
int pv_check_delegates(pv_parts* parts, uint32_t plan);

/* The kind of a method's value, VALUE_...; 0 for an index it does not have. */
int pv_value_kind(const pv_parts* parts, uint32_t plan, uint32_t index);
/* The table of a value that is a tensor. */
uint32_t pv_tensor_at(const pv_parts* parts, uint32_t plan, uint32_t index);
/* Whether a tensor lies in the program, in planned memory, or where the caller puts an input; true of what is none. */
int pv_has_place(pv_parts* parts, uint32_t plan, uint32_t index);
/* Whether an operator is known, takes values of these kinds, and may write where it does. */
int pv_operator_takes(pv_parts* parts, uint32_t plan, uint32_t operator_, pv_list arguments);
/* Whether an argument of the right kind is what a stricter letter of its operator asks for. */
int pv_meets_demand(pv_parts* parts, uint32_t plan, char letter, uint32_t index, pv_list arguments);
/* Whether a call may write its argument `at`, a tensor or a list of them: planned memory that no other argument lies in. */
int pv_may_write(pv_parts* parts, uint32_t plan, pv_list arguments, uint32_t at);
/* Whether a tensor lies in planned memory, or has no bytes. */
int pv_is_planned(const pv_parts* parts, uint32_t plan, uint32_t index);
/* Whether tensor `index` lies where `of` does already. */
int pv_is_view(const pv_parts* parts, uint32_t plan, uint32_t index, uint32_t of);
/* The first byte of a planned tensor in its memory. */
uint64_t pv_memory_offset(const pv_flat* flat, uint32_t memory);
/* Bytes of a tensor; 0 with `sound` 0 for sizes or an order no tensor has. */
uint64_t pv_tensor_bytes(const pv_flat* flat, uint32_t tensor, int* sound);
/* Bytes of a tensor's elements, 0 for a type no tensor has. */
uint32_t pv_element_bytes(uint8_t type);

/* An XNNPACK graph whose tables have been walked. */
typedef struct pv_graph {
  pv_flat flat;
  uint32_t root;
  pv_parts* parts;
  int has_header; /* its constants lie behind it; else inside it */
  uint64_t constant_bytes;
} pv_graph;

/* 0 or a rule. */
int pv_check_graph(pv_parts* parts, const uint8_t* data, uint64_t size, pv_graph* graph);
/* Whether a call of a checked graph has the tensors it needs, with its sizes and sizes of elements, and may write where
 * the graph does. */
int pv_graph_takes(const pv_graph* graph, pv_parts* parts, uint32_t plan, pv_list arguments);

int pv_seal_holds(const uint8_t* data, uint64_t size);

#endif
