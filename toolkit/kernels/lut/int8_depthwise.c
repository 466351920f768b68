/* Depthwise layers of int8 activations, a quad of channels at a time. Four rows of the image are turned into a strip, whose
 * columns of four values meet four weights in one dot product; where a window starts within its first strip, zeros stand
 * before its weights. Rows of the output that start in the same strip are computed together.
 */
#include "int8_conv.h"

enum { PV_STRIPS = 3, PV_STRIP_ROWS = 4 };

typedef struct strip_plan {
  int32_t apart;  /* rows from strip to strip: 2 where a kernel of up to 3 rows then lies in one, else 4; 1 << shift */
  int32_t shift;
  int32_t strips; /* that a window meets */
  int32_t start;  /* windows start at multiples of this in their first strip */
  size_t pitch, strip_bytes, panel_bytes;
} strip_plan;

/* Other layers are computed one product at a time. */
static int is_in_strips(const pv_i8_conv* c) {
  return c->dilation[0] == 1 && c->stride[1] <= 2 && c->kernel[0] <= PV_STRIP_ROWS * PV_STRIPS - 3;
}

static strip_plan plan_of(const pv_i8_conv* c, int32_t width) {
  strip_plan p = {.shift = c->kernel[0] <= 3 ? 1 : 2};
  p.apart = 1 << p.shift;
  p.strips = (p.apart - 1 + c->kernel[0] + PV_STRIP_ROWS - 1) / PV_STRIP_ROWS;
  p.start = c->stride[0] % p.apart == 0 ? p.apart : c->stride[0] % 2 ? 1 : 2;
  const size_t pixels = pv_round_up((size_t)width, PV_STRIP_PIXELS), right = (size_t)c->width + (size_t)c->padding[3];
  const size_t read = (size_t)c->stride[1] * (pixels - 1) + (size_t)c->dilation[1] * (size_t)(c->kernel[1] - 1) + 1;
  const size_t written = (size_t)c->padding[1] + pv_round_up(right, PV_STRIP_PIXELS);
  p.pitch = pv_round_up(16 * (((read > written ? read : written) + 3) / 4), PV_LINE);
  p.strip_bytes = 4 * p.pitch;
  p.panel_bytes = 16 * (size_t)p.strips * (size_t)c->kernel[1];
  return p;
}

/* Worker scratch: strips, a row of padding, panels, the weights of four channels, what they are decoded to. */
typedef struct depthwise_task {
  const pv_i8_conv* conv;
  const pv_kernels* kernels;
  strip_plan plan;
  pv_panels layer;
  int32_t out[2], taps;
  const int8_t* x; /* the quad */
  int8_t* y;
  uint8_t* strips;
  int32_t held[PV_STRIPS]; /* which strip each is */
  int8_t *padding, *panels, *weights;
  uint8_t* decoded;
  pv_i8_finish* finish;
} depthwise_task;

static size_t strips_bytes(const strip_plan* p, const pv_i8_conv* c) {
  const size_t panels = (size_t)p->apart * p->panel_bytes;
  return (size_t)p->strips * p->strip_bytes + pv_round_up(4 * (size_t)c->width, PV_LINE) + pv_round_up(panels, PV_LINE);
}

size_t pv_i8_depthwise_bytes(const pv_i8_conv* c, const pv_i8_geometry* g) {
  const strip_plan plan = plan_of(c, g->out[1]);
  return PV_LINE + (is_in_strips(c) ? strips_bytes(&plan, c) : 0) + 8 * (size_t)g->taps + 3 * PV_BLOCK;
}

/* Weights and finish of channels [row, row + rows), up to four; those of a codebook group are decoded at once. */
static int read_channels(depthwise_task* t, int32_t row, int32_t rows) {
  pv_panels* layer = &t->layer;
  const pv_lut* lut = layer->lut;
  const size_t taps = (size_t)t->taps;
  pv_finish finish[4];
  memset(t->weights, 0, 4 * taps);
  for (int32_t r = 0, stop; r < rows; r = stop) {
    const int32_t size = pv_rows_per_group(lut), group = (row + r) / size;
    stop = pv_min(rows, (group + 1) * size - row);
    if (group != layer->group) pv_quantize_codebook(lut, group, &layer->levels);
    layer->group = group;
    const size_t first = (size_t)(row + r) * taps, count = (size_t)(stop - r) * taps;
    const int at = pv_flat_decode(&layer->flat, first, count, (const uint8_t*)layer->levels.level, t->decoded);
    if (at < 0) return at;
    memcpy(t->weights + (size_t)r * taps, t->decoded + at, count);
    for (int32_t i = r; i < stop; i++) {
      const float row_scale = lut->row_scale ? lut->row_scale[row + i] : 1;
      finish[i] = (pv_finish){t->conv->in.scale * (layer->levels.scale * row_scale), lut->bias ? lut->bias[row + i] : 0, 0, 0};
    }
  }
  pv_i8_set_finish(t->conv, finish, rows, t->finish);
  return PV_OK;
}

static int32_t tap_sum(const int8_t* weights, int32_t taps) {
  int32_t sum = 0;
  for (int32_t i = 0; i < taps; i++) sum += weights[i];
  return sum;
}

/* What the zero of the activations, as they are stored, adds to a channel's sums is taken off. */
static void set_start(const depthwise_task* t, int32_t channel, int32_t sum) {
  t->finish->start[channel] = -(t->conv->in.zero + t->kernels->offset) * sum;
}

/* The panel of windows that start with their first strip: words of four taps of a column, [strips, columns, channels]. */
static void fill_words(const depthwise_task* t, uint32_t* words) {
  const int32_t height = t->conv->kernel[0], width = t->conv->kernel[1];
  const int8_t* weights = t->weights;
  for (int32_t c = 0; c < 4; c++, weights += t->taps) {
    int32_t sum = 0;
    for (int32_t s = 0; s < t->plan.strips; s++)
      for (int32_t kx = 0; kx < width; kx++) {
        uint32_t word = 0;
        for (int32_t ky = 4 * s; ky < 4 * s + 4 && ky < height; ky++) {
          const int8_t weight = weights[ky * width + kx];
          word |= (uint32_t)(uint8_t)weight << 8 * (ky % 4);
          sum += weight;
        }
        words[4 * (s * width + kx) + c] = word;
      }
    set_start(t, c, sum);
  }
}

/* The panels of windows that start at other rows of their first strip: the taps moved down. */
static void fill_panels(const depthwise_task* t) {
  const strip_plan* p = &t->plan;
  const size_t words = p->panel_bytes / 4, strip_words = words / (size_t)p->strips;
  uint32_t* panels = (uint32_t*)(void*)t->panels;
  fill_words(t, panels);
  for (int32_t start = p->start; start < p->apart; start += p->start) {
    uint32_t* moved = panels + (size_t)start * words;
    const int down = 8 * start;
    for (size_t i = 0; i < strip_words; i++) moved[i] = panels[i] << down;
    for (size_t i = strip_words; i < words; i++) moved[i] = panels[i] << down | panels[i - strip_words] >> (32 - down);
  }
}

static const uint8_t* strip(depthwise_task* t, int32_t index) {
  const strip_plan* p = &t->plan;
  const pv_i8_conv* c = t->conv;
  const int32_t slot = p->strips == 1 ? 0 : index % p->strips;
  uint8_t* streams = t->strips + (size_t)slot * p->strip_bytes;
  if (t->held[slot] == index) return streams;
  pv_i8_turn turn = {.width = c->width, .end = c->width + c->padding[3], .first = c->padding[1],
                     .fill = (int8_t)c->in.zero, .streams = streams, .pitch = p->pitch};
  for (int32_t r = 0; r < PV_STRIP_ROWS; r++) {
    const int32_t row = index * p->apart + r - c->padding[0];
    turn.rows[r] = row < 0 || row >= c->height ? t->padding : t->x + 4 * (size_t)row * (size_t)c->width;
  }
  t->kernels->i8_turn(&turn);
  t->held[slot] = index;
  return streams;
}

static void quad_in_strips(depthwise_task* t) {
  const strip_plan* p = &t->plan;
  const pv_i8_conv* c = t->conv;
  fill_panels(t);
  for (int32_t i = 0; i < PV_STRIPS; i++) t->held[i] = -1;
  pv_i8_depthwise task = {.pitch = p->pitch, .strip_count = p->strips, .columns = c->kernel[1], .stride = c->stride[1],
                          .dilation = c->dilation[1], .count = t->out[1], .finish = t->finish};
  for (int32_t y = 0; y < t->out[0]; y += task.rows) {
    const int32_t top = y * c->stride[0], first = top >> p->shift, next = (top + c->stride[0]) >> p->shift;
    task.rows = y + 1 < t->out[0] && next == first ? 2 : 1;
    for (int32_t i = 0; i < p->strips; i++) task.strips[i] = strip(t, first + i);
    for (int32_t r = 0; r < task.rows; r++) {
      task.panels[r] = t->panels + (size_t)((top + r * c->stride[0]) & (p->apart - 1)) * p->panel_bytes;
      task.y[r] = t->y + 4 * (size_t)(y + r) * (size_t)t->out[1];
    }
    t->kernels->i8_depthwise(&task);
  }
}

/* The sum of one channel's window; padding is the grid's zero. */
static int32_t window_sum(const depthwise_task* t, int32_t y, int32_t x, int32_t channel) {
  const pv_i8_conv* c = t->conv;
  const int8_t* weights = t->weights + (size_t)channel * (size_t)t->taps;
  int32_t sum = 0;
  for (int32_t ky = 0; ky < c->kernel[0]; ky++)
    for (int32_t kx = 0; kx < c->kernel[1]; kx++) {
      const int32_t row = y * c->stride[0] - c->padding[0] + ky * c->dilation[0];
      const int32_t col = x * c->stride[1] - c->padding[1] + kx * c->dilation[1];
      const int inside = row >= 0 && row < c->height && col >= 0 && col < c->width;
      const size_t at = 4 * ((size_t)row * (size_t)c->width + (size_t)col) + (size_t)channel;
      sum += *weights++ * ((inside ? t->x[at] : c->in.zero) + t->kernels->offset);
    }
  return sum;
}

static void quad_by_windows(const depthwise_task* t) {
  int8_t* out = t->y;
  for (int32_t channel = 0; channel < 4; channel++)
    set_start(t, channel, tap_sum(t->weights + (size_t)(channel * t->taps), t->taps));
  for (int32_t y = 0; y < t->out[0]; y++)
    for (int32_t x = 0; x < t->out[1]; x++)
      for (int32_t channel = 0; channel < 4; channel++)
        *out++ = pv_i8_finished(t->finish, channel, window_sum(t, y, x, channel));
}

int pv_i8_depthwise_rows(const pv_lut* lut, const pv_i8_conv* c, const pv_i8_geometry* g, pv_i8_finish* finish,
                         const int8_t* x, void* worker, int8_t* y, int32_t begin, int32_t end) {
  const int in_strips = is_in_strips(c);
  depthwise_task t = {.conv = c, .kernels = pv_active(), .plan = plan_of(c, g->out[1]), .taps = g->taps,
                      .out = {g->out[0], g->out[1]}, .finish = finish, .layer = {.lut = lut, .group = -1}};
  t.strips = pv_align(worker);
  t.padding = (int8_t*)t.strips + (size_t)t.plan.strips * t.plan.strip_bytes;
  t.panels = t.padding + pv_round_up(4 * (size_t)c->width, PV_LINE);
  t.weights = (int8_t*)t.strips + (in_strips ? strips_bytes(&t.plan, c) : 0);
  t.decoded = (uint8_t*)t.weights + 4 * (size_t)g->taps;
  pv_flat_open(&t.layer.flat, lut);
  if (in_strips) { /* padding on the left stays; on the right it is written with each strip */
    memset(t.strips, (uint8_t)(c->in.zero + t.kernels->offset), (size_t)t.plan.strips * t.plan.strip_bytes);
    memset(t.padding, c->in.zero, 4 * (size_t)c->width);
  }
  for (int32_t row = begin; row < end; row += 4) {
    const int error = read_channels(&t, row, pv_min(4, end - row));
    if (error) return error;
    t.x = x + 4 * (size_t)(row / 4) * (size_t)c->height * (size_t)c->width;
    t.y = y + 4 * (size_t)(row / 4) * (size_t)g->out[0] * (size_t)g->out[1];
    in_strips ? quad_in_strips(&t) : quad_by_windows(&t);
  }
  return PV_OK;
}
