/* What the nodes of an XNNPACK graph make of sizes. XNNPACK finds them itself and writes as much, before anybody asks
 * whether what the graph or the call has for it is as long: they have to be those that the graph says. */
#include "graph.h"

/* What a kind of node makes of its inputs. */
typedef enum making {
  REFUSED, /* that no program of ours has, or that no runtime knows */
  ALIKE,
  ALONG, /* alike, along an axis */
  BROADCAST,
  SLOPED,
  CONVOLVED,
  CONNECTED,
  PRODUCT,
  POOLED,
  MEAN,
  RESIZED,
  PADDED,
  TRANSPOSED,
  RESHAPED,
  SLICED,
  JOINED
} making;

/* By the type of a node, in the order of the .fbs file; then the flags it may have. */
static const struct {
  uint8_t making, flags;
} kinds[] = {
    {REFUSED, 0},   {BROADCAST, 0}, {CONNECTED, 1}, {ALONG, 0},     {ALIKE, 0},     {TRANSPOSED, 0}, {ALIKE, 0},
    {CONVOLVED, 0}, {BROADCAST, 0}, {RESIZED, 8},   {PADDED, 0},    {POOLED, 64},   {BROADCAST, 0},  {CONVOLVED, 0},
    {POOLED, 64},   {BROADCAST, 0}, {BROADCAST, 0}, {ALIKE, 0},     {ALONG, 0},     {MEAN, 64},      {RESHAPED, 0},
    {REFUSED, 0},   {ALIKE, 0},     {ALIKE, 0},     {ALIKE, 0},     {ALIKE, 0},     {BROADCAST, 0},  {ALIKE, 0},
    {ALIKE, 0},     {ALIKE, 0},     {ALIKE, 0},     {SLOPED, 0},    {JOINED, 0},    {JOINED, 0},     {JOINED, 0},
    {SLICED, 0},    {REFUSED, 0},   {PRODUCT, 0},   {JOINED, 0},    {CONVOLVED, 0}, {ALIKE, 0},      {ALIKE, 0},
    {ALIKE, 0},     {ALIKE, 0},     {ALIKE, 0},     {ALIKE, 0},     {ALIKE, 0},     {ALIKE, 0},
};

/* The inputs of a node, in their order, and what it makes. */
typedef struct values {
  uint32_t count;
  pv_shape in[5], out;
  int lone; /* an input that may be a number without sizes: the graph says [1] of it */
} values;

static const pv_table* table_of(uint8_t type) {
  return pv_graph_schema.fields[GRAPH_NODES].of->fields[NODE].of->fields[type - 1].of;
}

static int is_catenate(uint8_t type) {
  return type == NODE_CATENATE2 || type == NODE_CATENATE3 || type == NODE_CATENATE4 || type == NODE_CATENATE5;
}

/* What a node makes is no constant and nothing that the call gives. */
static int may_be_made(const pv_graph* g, uint32_t tensor) {
  const uint32_t flags = pv_flat_int(&g->flat, tensor, XTENSOR_FLAGS);
  return !(flags & PV_EXTERNAL_INPUT) && !pv_graph_is_constant(g, tensor);
}

int pv_node_names_values(const pv_graph* g, uint8_t type, uint32_t node) {
  const pv_table* fields = table_of(type);
  for (int i = 0; i < fields->count; i++) {
    const int made = fields->fields[i].kind == PV_MADE_ID;
    if (fields->fields[i].kind != PV_ID && !made) continue;
    if (!pv_flat_field(&g->flat, node, i) && is_catenate(type)) continue; /* of fewer inputs; any other absent one is 0 */
    const uint32_t id = pv_flat_int(&g->flat, node, i), tensor = id == PV_NO_VALUE ? 0 : pv_graph_tensor(g, id);
    if (!tensor && (made || id != PV_NO_VALUE)) return 0;
    if (made && !may_be_made(g, tensor)) return 0;
  }
  return 1;
}

/* The flags of a node: the number behind what it makes. */
static uint32_t flags_of(const pv_graph* g, uint8_t type, uint32_t node) {
  const pv_table* fields = table_of(type);
  int last = fields->count - 1;
  while (fields->fields[last].kind != PV_MADE_ID) last--;
  return pv_flat_int(&g->flat, node, last + 1);
}

/* How many inputs a node has. */
static uint32_t inputs_of(uint8_t type) {
  switch (type) {
    case NODE_CATENATE2:
      return 2;
    case NODE_CATENATE3:
      return 3;
    case NODE_CATENATE4:
      return 4;
    case NODE_CATENATE5:
      return 5;
    default:
      return kinds[type].making == BROADCAST || kinds[type].making == SLOPED || kinds[type].making == PRODUCT ? 2 : 1;
  }
}

static int read_values(const pv_graph* g, uint8_t type, uint32_t node, values* found) {
  const pv_table* fields = table_of(type);
  const uint32_t wanted = inputs_of(type);
  found->count = 0;
  found->lone = 0;
  for (int i = 0; i < fields->count; i++) {
    const pv_kind kind = fields->fields[i].kind;
    if (kind != PV_MADE_ID && (kind != PV_ID || found->count == wanted)) continue;
    const uint32_t id = pv_flat_int(&g->flat, node, i), tensor = id == PV_NO_VALUE ? 0 : pv_graph_tensor(g, id);
    if (!tensor) return 0;
    const pv_shape shape = pv_graph_shape(g, tensor);
    if (kind == PV_MADE_ID) {
      found->out = shape;
    } else {
      found->in[found->count++] = shape;
      found->lone |= shape.rank == 1 && shape.dims[0] == 1 && !pv_graph_is_constant(g, tensor);
    }
  }
  return found->count == wanted;
}

static int is_broadcast(const pv_shape* a, const pv_shape* b, const pv_shape* out) {
  const uint32_t rank = a->rank > b->rank ? a->rank : b->rank;
  if (out->rank != rank) return 0;
  for (uint32_t i = 1; i <= rank; i++) {
    const uint64_t first = i <= a->rank ? a->dims[a->rank - i] : 1, second = i <= b->rank ? b->dims[b->rank - i] : 1;
    if (first != second && first != 1 && second != 1) return 0;
    if (out->dims[rank - i] != (first == 1 ? second : first)) return 0;
  }
  return 1;
}

/* One slope, or one for each channel, which are the last axis. */
static int is_sloped(const pv_shape* in, const pv_shape* slopes, const pv_shape* out) {
  const uint64_t count = pv_shape_elements(slopes);
  if (!in->rank || !slopes->rank || slopes->rank > in->rank) return 0;
  return pv_shape_is(in, out) && (count == 1 || (count == in->dims[in->rank - 1] && count == slopes->dims[slopes->rank - 1]));
}

static int is_product(const pv_shape* a, const pv_shape* b, const pv_shape* out) {
  const uint32_t rank = a->rank;
  if (rank < 2 || b->rank != rank || a->dims[rank - 1] != b->dims[rank - 2]) return 0;
  pv_shape expected = *a;
  expected.dims[rank - 1] = b->dims[rank - 1];
  for (uint32_t i = 0; i + 2 < rank; i++) {
    if (a->dims[i] != b->dims[i]) return 0;
  }
  return pv_shape_is(&expected, out);
}

static int is_pooled(const pv_graph* g, uint8_t type, uint32_t node, const values* found) {
  enum { TOP, RIGHT, BOTTOM, LEFT, HEIGHT, WIDTH, STRIDE_HEIGHT, STRIDE_WIDTH, DILATION_HEIGHT, DILATION_WIDTH };
  const int dilated = type == NODE_MAX_POOLING; /* of the other one XNNPACK does not read it */
  if (!pv_fields_within(g, node, TOP, 4, 0) || !pv_fields_within(g, node, HEIGHT, dilated ? 6 : 4, 1)) return 0;
  uint64_t n[DILATION_WIDTH + 1];
  for (int i = 0; i <= DILATION_WIDTH; i++) n[i] = pv_flat_int(&g->flat, node, i);
  if (!dilated) n[DILATION_HEIGHT] = n[DILATION_WIDTH] = 1;
  const pv_shape* in = &found->in[0];
  if (in->rank != 4) return 0;
  pv_shape made = *in;
  made.dims[1] = pv_window_positions(in->dims[1] + n[TOP] + n[BOTTOM], n[HEIGHT], n[DILATION_HEIGHT], n[STRIDE_HEIGHT]);
  made.dims[2] = pv_window_positions(in->dims[2] + n[LEFT] + n[RIGHT], n[WIDTH], n[DILATION_WIDTH], n[STRIDE_WIDTH]);
  /* a window that lies in padding alone has no largest value, and no number of values */
  if (n[TOP] >= n[HEIGHT] * n[DILATION_HEIGHT] || n[LEFT] >= n[WIDTH] * n[DILATION_WIDTH]) return 0;
  return pv_shape_is(&made, &found->out) && pv_windows_fit(made.dims[1] * made.dims[2], n[HEIGHT] * n[WIDTH]);
}

static int is_mean(const pv_graph* g, uint8_t type, uint32_t node, const values* found) {
  const pv_shape* in = &found->in[0];
  if (in->rank != 4) return 0;
  const pv_shape kept = {4, {in->dims[0], 1, 1, in->dims[3]}}, without = {2, {in->dims[0], in->dims[3]}};
  return pv_shape_is(flags_of(g, type, node) ? &kept : &without, &found->out);
}

static int is_resized(const pv_graph* g, uint32_t node, const values* found) {
  const pv_shape* in = &found->in[0];
  const pv_shape made = {4, {in->dims[0], pv_flat_int(&g->flat, node, 0), pv_flat_int(&g->flat, node, 1), in->dims[3]}};
  return in->rank == 4 && pv_shape_is(&made, &found->out);
}

static uint64_t listed(const pv_graph* g, uint32_t node, int list, uint32_t i) {
  return pv_read32(g->flat.data + pv_flat_list(&g->flat, node, list).at + 4 * i);
}

static int has_count(const pv_graph* g, uint32_t node, int list, uint32_t count) {
  return pv_flat_list(&g->flat, node, list).count == count && count <= PV_DIMS;
}

/* Of nodes that say the length of their lists themselves, which some runtimes believe. */
static int has_rank(const pv_graph* g, uint32_t node, int list, uint32_t rank) {
  return pv_flat_int(&g->flat, node, 0) == rank && has_count(g, node, list, rank);
}

static int is_padded(const pv_graph* g, uint32_t node, const values* found) {
  pv_shape made = found->in[0];
  if (!has_count(g, node, 0, made.rank) || !has_count(g, node, 1, made.rank)) return 0;
  for (uint32_t i = 0; i < made.rank; i++) {
    const uint64_t before = listed(g, node, 0, i), after = listed(g, node, 1, i);
    if (before > PV_LARGEST_STEP || after > PV_LARGEST_STEP) return 0; /* negative ones, too */
    made.dims[i] += before + after;
  }
  return pv_shape_is(&made, &found->out);
}

static int is_transposed(const pv_graph* g, uint32_t node, const values* found) {
  const pv_shape *in = &found->in[0], *out = &found->out;
  uint32_t seen = 0;
  if (!has_rank(g, node, 1, in->rank) || out->rank != in->rank) return 0;
  for (uint32_t i = 0; i < in->rank; i++) {
    const uint64_t axis = listed(g, node, 1, i);
    if (axis >= in->rank || seen >> axis & 1 || out->dims[i] != in->dims[axis]) return 0;
    seen |= 1u << axis;
  }
  return 1;
}

/* A size of 0 is the one that is left: there is one at most. */
static int is_reshaped(const pv_graph* g, uint32_t node, const values* found) {
  const pv_shape* out = &found->out;
  uint32_t free_ = 0;
  if (!has_rank(g, node, 1, out->rank) || pv_shape_elements(&found->in[0]) != pv_shape_elements(out)) return 0;
  for (uint32_t i = 0; i < out->rank; i++) {
    const uint64_t size = listed(g, node, 1, i);
    free_ += !size;
    if (size && size != out->dims[i]) return 0;
  }
  return free_ <= 1;
}

static int is_sliced(const pv_graph* g, uint32_t node, const values* found) {
  const pv_shape *in = &found->in[0], *out = &found->out;
  if (!has_rank(g, node, 1, in->rank) || !has_count(g, node, 2, in->rank) || out->rank != in->rank) return 0;
  for (uint32_t i = 0; i < in->rank; i++) {
    const uint64_t from = listed(g, node, 1, i), size = listed(g, node, 2, i);
    if (from > in->dims[i] || !size || size > in->dims[i] - from || size != out->dims[i]) return 0;
  }
  return 1;
}

static int is_joined(const pv_graph* g, uint32_t node, const values* found) {
  const uint32_t axis = pv_flat_int(&g->flat, node, 0);
  pv_shape made = found->in[0];
  if (axis >= made.rank) return 0;
  made.dims[axis] = 0;
  for (uint32_t i = 0; i < found->count; i++) {
    pv_shape part = found->in[i];
    if (part.rank != made.rank) return 0;
    const uint64_t along = made.dims[axis] + part.dims[axis];
    part.dims[axis] = made.dims[axis];
    if (!pv_shape_is(&part, &made)) return 0;
    made.dims[axis] = along;
  }
  return pv_shape_is(&made, &found->out);
}

static int makes(const pv_graph* g, uint8_t type, uint32_t node, const values* found) {
  const pv_shape *in = found->in, *out = &found->out;
  switch (kinds[type].making) {
    case ALIKE:
    case ALONG:
      return pv_shape_is(&in[0], out);
    case BROADCAST:
      return is_broadcast(&in[0], &in[1], out);
    case SLOPED:
      return is_sloped(&in[0], &in[1], out);
    case CONVOLVED:
      return pv_convolution_makes(g, type, node);
    case CONNECTED:
      return pv_connected_makes(g, node);
    case PRODUCT:
      return is_product(&in[0], &in[1], out);
    case POOLED:
      return is_pooled(g, type, node, found);
    case MEAN:
      return is_mean(g, type, node, found);
    case RESIZED:
      return is_resized(g, node, found);
    case PADDED:
      return is_padded(g, node, found);
    case TRANSPOSED:
      return is_transposed(g, node, found);
    case RESHAPED:
      return is_reshaped(g, node, found);
    case SLICED:
      return is_sliced(g, node, found);
    case JOINED:
      return is_joined(g, node, found);
    default:
      return 0;
  }
}

int pv_node_makes_its_sizes(const pv_graph* g, uint8_t type, uint32_t node) {
  values found;
  if (type >= sizeof kinds / sizeof *kinds || kinds[type].making == REFUSED) return 0;
  if (flags_of(g, type, node) & ~(uint32_t)kinds[type].flags || !read_values(g, type, node, &found)) return 0;
  const making made = kinds[type].making;
  if (found.lone && made != ALIKE && made != BROADCAST && made != RESHAPED) return 0;
  return makes(g, type, node, &found);
}
