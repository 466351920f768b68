#include "schema.h"

#define FIELDS(name, ...) static const pv_field name##_fields[] = {__VA_ARGS__}
#define COUNTED(name) {name##_fields, sizeof name##_fields / sizeof *name##_fields}
#define TABLE(name, ...)     \
  FIELDS(name, __VA_ARGS__); \
  static const pv_table name = COUNTED(name)
#define HAS(kind, of) {kind, 1, of}
#define MAY(kind, of) {kind, 0, of}
#define BYTE MAY(PV_BYTE, 0)
#define INT MAY(PV_INT, 0)
#define LONG MAY(PV_LONG, 0)

static const pv_table none = {0, 0};
TABLE(container, MAY(PV_STRING, 0), MAY(PV_STRING, 0));
TABLE(allocation, INT, INT, INT);
TABLE(extra, LONG, MAY(PV_STRING, 0), BYTE, BYTE, BYTE);
TABLE(tensor, BYTE, INT, HAS(PV_INTS, 0), HAS(PV_BYTES, 0), BYTE, INT, MAY(PV_TABLE, &allocation), BYTE, BYTE,
      MAY(PV_TABLE, &extra));
TABLE(long_value, LONG);
TABLE(bool_value, BYTE);
TABLE(string_value, HAS(PV_STRING, 0));
TABLE(long_list, HAS(PV_LONGS, 0));
TABLE(bool_list, HAS(PV_BYTES, 0));
TABLE(index_list, HAS(PV_INTS, 0));
TABLE(kernel_types, MAY(PV_TABLE, &none), MAY(PV_TABLE, &long_value), MAY(PV_TABLE, &bool_value),
      MAY(PV_TABLE, &long_value), MAY(PV_TABLE, &tensor), MAY(PV_TABLE, &string_value), MAY(PV_TABLE, &long_list),
      MAY(PV_TABLE, &long_list), MAY(PV_TABLE, &bool_list), MAY(PV_TABLE, &index_list), MAY(PV_TABLE, &index_list));
TABLE(value, BYTE, HAS(PV_UNION, &kernel_types));
TABLE(named_operator, HAS(PV_STRING, 0), MAY(PV_STRING, 0));
TABLE(call, INT, HAS(PV_INTS, 0));
TABLE(two_ints, INT, INT);
TABLE(one_int, INT);
TABLE(instructions, MAY(PV_TABLE, &call), MAY(PV_TABLE, &call), MAY(PV_TABLE, &two_ints), MAY(PV_TABLE, &two_ints),
      MAY(PV_TABLE, &one_int));
TABLE(instruction, BYTE, HAS(PV_UNION, &instructions));
TABLE(frame, MAY(PV_STRING, 0), INT, MAY(PV_STRING, 0), MAY(PV_STRING, 0));
TABLE(frames, MAY(PV_TABLES, &frame));
TABLE(delegate_data, BYTE, INT);
TABLE(compile_spec, HAS(PV_STRING, 0), HAS(PV_BYTES, 0));
TABLE(delegate, HAS(PV_STRING, 0), HAS(PV_TABLE, &delegate_data), HAS(PV_TABLES, &compile_spec));
TABLE(chain, MAY(PV_INTS, 0), MAY(PV_INTS, 0), HAS(PV_TABLES, &instruction), MAY(PV_TABLES, &frames));
TABLE(memory_device, INT, BYTE, BYTE);
TABLE(plan, HAS(PV_STRING, 0), MAY(PV_TABLE, &container), HAS(PV_TABLES, &value), HAS(PV_INTS, 0), HAS(PV_INTS, 0),
      HAS(PV_TABLES, &chain), HAS(PV_TABLES, &named_operator), HAS(PV_TABLES, &delegate), HAS(PV_LONGS, 0),
      MAY(PV_TABLES, &memory_device));
TABLE(buffer, MAY(PV_BYTES, 0));
TABLE(inline_data, HAS(PV_BYTES, 0));
TABLE(segment, LONG, LONG);
TABLE(subsegments, INT, HAS(PV_LONGS, 0));
TABLE(named, HAS(PV_STRING, 0), INT);
FIELDS(program, INT, HAS(PV_TABLES, &plan), MAY(PV_TABLES, &buffer), MAY(PV_TABLES, &inline_data),
      MAY(PV_TABLES, &segment), MAY(PV_TABLE, &subsegments), MAY(PV_TABLES, &subsegments), MAY(PV_TABLES, &named));
const pv_table pv_program_schema = COUNTED(program);

#define ID MAY(PV_ID, 0)
#define MADE MAY(PV_MADE_ID, 0)
#define INTS HAS(PV_INTS, 0)
TABLE(one_to_one, ID, MADE, INT);
TABLE(two_to_one, ID, ID, MADE, INT);
TABLE(catenate, INT, ID, ID, ID, ID, MADE, INT, ID);
TABLE(connected, ID, ID, ID, MADE, INT);
TABLE(transpose, INT, INTS, ID, MADE, INT);
TABLE(resize, INT, INT, ID, MADE, INT);
TABLE(pad, INTS, INTS, INT, ID, MADE, INT);
TABLE(convolution, INT, INT, INT, INT, INT, INT, INT, INT, INT, INT, INT, INT, INT, INT, INT, ID, ID, ID, MADE, INT);
TABLE(pooling, INT, INT, INT, INT, INT, INT, INT, INT, INT, INT, ID, MADE, INT);
TABLE(reshape, INT, INTS, ID, MADE, INT);
TABLE(slice, INT, INTS, INTS, ID, MADE, INT);
TABLE(attention, ID, ID, ID, ID, ID, MADE, INT);
TABLE(argmax_pooling, INT, INT, INT, INT, INT, INT, ID, MADE, MADE, INT);
TABLE(one_parameter, INT, ID, MADE, INT); /* ELU, leaky ReLU */
#define UNARY MAY(PV_TABLE, &one_to_one)
#define BINARY MAY(PV_TABLE, &two_to_one)
#define OF(table) MAY(PV_TABLE, &table)
TABLE(nodes, BINARY, OF(connected), UNARY, UNARY, OF(transpose), UNARY, OF(convolution), BINARY, OF(resize), OF(pad),
      OF(pooling), BINARY, OF(convolution), OF(pooling), BINARY, BINARY, UNARY, UNARY, UNARY, OF(reshape),
      OF(argmax_pooling), UNARY, UNARY, UNARY, OF(one_parameter), BINARY, UNARY, UNARY, OF(one_parameter), UNARY,
      BINARY, OF(catenate), OF(catenate), OF(catenate), OF(slice), OF(attention), BINARY, OF(catenate),
      OF(convolution), UNARY, UNARY, UNARY, UNARY, UNARY, UNARY, UNARY, UNARY);
TABLE(limits, INT, INT);
TABLE(node, BYTE, HAS(PV_UNION, &nodes), INT, MAY(PV_TABLE, &limits));
TABLE(channel_quant, MAY(PV_INTS, 0), INT, INT, INT);
TABLE(tensor_quant, INT, INT);
TABLE(token_quant, INT);
TABLE(group_quant, MAY(PV_INTS, 0), INT, INT, {PV_GONE, 0, 0}, INT, INT);
TABLE(quants, OF(channel_quant), OF(tensor_quant), OF(token_quant), OF(group_quant));
TABLE(xtensor, MAY(PV_SHORT, 0), INT, MAY(PV_INTS, 0), INT, INT, INT, INT, MAY(PV_SHORT, 0));
TABLE(quantized, HAS(PV_TABLE, &xtensor), BYTE, HAS(PV_UNION, &quants));
TABLE(xvalues, OF(xtensor), OF(quantized));
TABLE(xvalue, BYTE, HAS(PV_UNION, &xvalues));
TABLE(constant, LONG, LONG, MAY(PV_STRING, 0));
FIELDS(graph, MAY(PV_STRING, 0), HAS(PV_TABLES, &node), HAS(PV_TABLES, &xvalue), INT, MAY(PV_INTS, 0),
      MAY(PV_INTS, 0), MAY(PV_TABLES, &buffer), MAY(PV_INTS, 0), MAY(PV_TABLES, &constant));
const pv_table pv_graph_schema = COUNTED(graph);
