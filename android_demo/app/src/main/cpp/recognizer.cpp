#include "recognizer.h"

#include <time.h>

#include <atomic>
#include <cstdio>
#include <cstring>

#include <cpuinfo.h>
#include <executorch/extension/threadpool/threadpool.h>
#include <executorch/runtime/platform/runtime.h>

#include "lut/lut.h"
#include "mapping.h"
#include "preprocess/preprocess.h"
#include "program.h"
#include "program/check.h"
#include "search/search.h"

using executorch::aten::ScalarType;
using executorch::aten::Tensor;
using executorch::aten::TensorImpl;
using executorch::extension::BufferDataLoader;
using executorch::runtime::Error;
using executorch::runtime::EValue;
using executorch::runtime::Program;
using executorch::runtime::Result;
using pocketvlad::LoadedMethod;
using pocketvlad::Mapping;
using pocketvlad::read_constant;

extern "C" const int pv_ops_registered;  // of the adapter: keeps it in the library

namespace {

constexpr int64_t kLargestSide = 16384;         // pixels of a model's input
constexpr int64_t kMostPixels = int64_t{1} << 24;  // which take 200 MB

// Recognisers that are open: their delegates keep the thread pool they were opened with. -1 while it changes.
std::atomic<int> in_use{0};

bool begin_use() {
  int count = in_use.load();
  while (count >= 0) {
    if (in_use.compare_exchange_weak(count, count + 1)) return true;
  }
  return false;
}

int64_t now_nanos() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec;
}

}  // namespace

// An index and the mapping it points into.
struct Places {
  Mapping file;
  pv_index index{};
};

struct pv_recognizer {
  const bool used = begin_use();
  ~pv_recognizer() {
    if (used) in_use--;
  }
  Mapping program_file;
  std::unique_ptr<BufferDataLoader> loader;
  std::unique_ptr<Result<Program>> program;
  std::unique_ptr<LoadedMethod> forward;
  Places packaged;
  std::unique_ptr<Places> added;  // none: nullptr
  int64_t image_size[2] = {0, 0}, dim = 0, load_nanos = 0;
  int64_t upright = 1;  // whether photos are turned as their EXIF says
  float mean[3], deviation[3];
  uint8_t fingerprint[PV_FINGERPRINT];
  std::vector<float> input;
  std::vector<uint8_t> rgb;  // of the last camera frame
};

// Writes the line that says why; `code` is ExecuTorch's, if it has one. -1, for the functions of the C face.
static int refuse(char* error, const char* what, int code = 0) {
  if (code) {
    snprintf(error, PV_ERROR_TEXT, "%s (ExecuTorch error 0x%x)", what, static_cast<unsigned>(code));
  } else {
    snprintf(error, PV_ERROR_TEXT, "%s", what);
  }
  return -1;
}

static bool fail(char* error, const char* what, int code = 0) {
  refuse(error, what, code);
  return false;
}

// forward: float32 [1, 3, height, width] -> float32 [1, dim].
static bool takes_photos(const Program& program, const pv_recognizer& r) {
  auto meta = program.method_meta("forward");
  if (!meta.ok() || meta->num_inputs() != 1 || meta->num_outputs() != 1) return false;
  const auto input = meta->input_tensor_meta(0), output = meta->output_tensor_meta(0);
  if (!input.ok() || !output.ok()) return false;
  const auto in = input->sizes(), out = output->sizes();
  return input->scalar_type() == ScalarType::Float && output->scalar_type() == ScalarType::Float && in.size() == 4 &&
         in[0] == 1 && in[1] == 3 && in[2] == r.image_size[0] && in[3] == r.image_size[1] && out.size() == 2 &&
         out[0] == 1 && out[1] == r.dim;
}

static bool open_program(pv_recognizer& r, const pv_file& file, char* error) {
  if (!r.program_file.open(file)) return fail(error, "The model file cannot be mapped");
  const int rule = pv_program_check(r.program_file.data(), r.program_file.size(), nullptr);
  if (rule) {
    snprintf(error, PV_ERROR_TEXT, "The model file is damaged: rule %s", pv_program_rule(rule));
    return false;
  }
  r.loader = std::make_unique<BufferDataLoader>(r.program_file.data(), r.program_file.size());
  r.program = std::make_unique<Result<Program>>(Program::load(r.loader.get()));
  if (!r.program->ok()) {
    return fail(error, "The model file is damaged or not a program", static_cast<int>(r.program->error()));
  }
  const Program& program = r.program->get();
  const bool described = read_constant(program, "pv_image_size", r.image_size, sizeof r.image_size) &&
                         read_constant(program, "pv_mean", r.mean, sizeof r.mean) &&
                         read_constant(program, "pv_std", r.deviation, sizeof r.deviation) &&
                         read_constant(program, "pv_dim", &r.dim, sizeof r.dim) &&
                         read_constant(program, "pv_fingerprint", r.fingerprint, sizeof r.fingerprint);
  if (!described || r.image_size[0] < 1 || r.image_size[1] < 1 || r.image_size[0] > kLargestSide ||
      r.image_size[1] > kLargestSide || r.image_size[0] * r.image_size[1] > kMostPixels) {
    return fail(error, "The model file does not say how it wants its photos");
  }
  read_constant(program, "pv_upright", &r.upright, sizeof r.upright);  // absent: photos are turned as their EXIF says
  if (!takes_photos(program, r)) return fail(error, "The model file does not take photos of the size it names");
  Error code = Error::Ok;
  r.forward = LoadedMethod::load(program, "forward", &code);
  if (!r.forward) {
    return fail(error, code == Error::OperatorMissing ? "This app's runtime lacks an operator of the model"
                                                      : "This app's runtime cannot load the model",
                static_cast<int>(code));
  }
  r.input.resize(static_cast<size_t>(3 * r.image_size[0] * r.image_size[1]));
  return true;
}

static bool open_index(const pv_recognizer& r, const pv_file& file, Places& places, char* error) {
  if (!places.file.open(file)) return fail(error, "The place index cannot be mapped");
  const int rule = pv_index_open(places.file.data(), places.file.size(), &places.index);
  if (rule) {
    snprintf(error, PV_ERROR_TEXT, "The place index is damaged: rule %s", pv_index_rule(rule));
    return false;
  }
  if (places.index.dim != r.dim || std::memcmp(places.index.fingerprint, r.fingerprint, PV_FINGERPRINT) != 0) {
    return fail(error, "The place index belongs to another model; build it again");
  }
  return true;
}

// Many phones of 2018 to 2020 have an old kernel that does not report the dot product of their cores; cpuinfo has a list.
static void know_processor() {
#if defined(__aarch64__)
  if (cpuinfo_initialize() && cpuinfo_has_arm_neon_dot()) pv_know_dot_product();
#endif
}

pv_recognizer* pv_open(const pv_file* program, const pv_file* index, char* error) {
  executorch::runtime::runtime_init();
  know_processor();
  const int64_t start = now_nanos();
  auto recognizer = std::make_unique<pv_recognizer>();
  if (!recognizer->used) {
    fail(error, "The number of threads is being changed");
    return nullptr;
  }
  if (!pv_ops_registered) {
    fail(error, "The lookup kernels could not be registered");
    return nullptr;
  }
  if (!open_program(*recognizer, *program, error) ||
      !open_index(*recognizer, *index, recognizer->packaged, error)) {
    return nullptr;
  }
  recognizer->load_nanos = now_nanos() - start;
  return recognizer.release();
}

void pv_close(pv_recognizer* recognizer) { delete recognizer; }

int32_t pv_dim(const pv_recognizer* recognizer) { return static_cast<int32_t>(recognizer->dim); }

int pv_set_added(pv_recognizer* r, const pv_file* index, char* error) {
  std::unique_ptr<Places> places;
  if (index) {
    places = std::make_unique<Places>();
    if (!open_index(*r, *index, *places, error)) return -1;
    if (places->index.count > INT32_MAX - r->packaged.index.count) return refuse(error, "There are too many places");
  }
  r->added = std::move(places);
  return 0;
}

int64_t pv_rows(const pv_recognizer* r) {
  return r->packaged.index.count + (r->added ? r->added->index.count : 0);
}

// The index that holds a row, which becomes the row of that index.
static const pv_index& index_of(const pv_recognizer& r, int64_t* row) {
  const pv_index& packaged = r.packaged.index;
  if (*row < packaged.count) return packaged;
  *row -= packaged.count;
  return r.added->index;
}

bool pv_row(const pv_recognizer* r, int64_t row, pv_record* record) {
  if (row < 0 || row >= pv_rows(r)) return false;
  const pv_index& index = index_of(*r, &row);
  pv_index_record(&index, row, record);
  return true;
}

void pv_row_descriptor(const pv_recognizer* r, int64_t row, float* descriptor) {
  const pv_index& index = index_of(*r, &row);
  pv_index_vector(&index, row, descriptor);
}

// Pixels of `channels` bytes a pixel, since `start`.
static int describe(pv_recognizer* r, const uint8_t* pixels, int width, int height, int channels, int orientation,
                    float* descriptor, int64_t start, int64_t nanos[2], char* error) {
  const int status =
      pv_preprocess(pixels, width, height, static_cast<size_t>(width) * static_cast<size_t>(channels), channels,
                    r->upright ? orientation : 1, static_cast<int>(r->image_size[0]),
                    static_cast<int>(r->image_size[1]), r->mean, r->deviation, r->input.data());
  if (status != PV_PREPROCESS_OK) return refuse(error, "The photo cannot be resized");
  const int64_t ready = now_nanos();
  TensorImpl::SizesType sizes[4] = {1, 3, static_cast<int>(r->image_size[0]), static_cast<int>(r->image_size[1])};
  TensorImpl::DimOrderType order[4] = {0, 1, 2, 3};
  TensorImpl image(ScalarType::Float, 4, sizes, r->input.data(), order);
  auto& method = r->forward->method();
  Error code = method.set_input(EValue(Tensor(&image)), 0);
  if (code == Error::Ok) code = method.execute();
  if (code != Error::Ok) return refuse(error, "The model failed on this photo", static_cast<int>(code));
  const EValue& output = method.get_output(0);
  if (!output.isTensor()) return refuse(error, "The model returned something that is no descriptor");
  const Tensor& result = output.toTensor();
  if (result.scalar_type() != ScalarType::Float || result.numel() != r->dim || !result.const_data_ptr()) {
    return refuse(error, "The model returned something that is no descriptor");
  }
  std::memcpy(descriptor, result.const_data_ptr<float>(), sizeof(float) * static_cast<size_t>(r->dim));
  nanos[0] = ready - start;
  nanos[1] = now_nanos() - ready;
  return 0;
}

int pv_describe(pv_recognizer* r, const uint8_t* pixels, int width, int height, int orientation, float* descriptor,
                int64_t nanos[2], char* error) {
  return describe(r, pixels, width, height, 4, orientation, descriptor, now_nanos(), nanos, error);
}

int pv_describe_yuv(pv_recognizer* r, const pv_yuv* frame, int orientation, float* descriptor, int64_t nanos[2],
                    char* error) {
  const int64_t start = now_nanos();
  if (frame->width < 1 || frame->height < 1 || frame->width > kLargestSide || frame->height > kLargestSide) {
    return refuse(error, "The camera's frame has an impossible size");
  }
  r->rgb.resize(static_cast<size_t>(3) * static_cast<size_t>(frame->width) * static_cast<size_t>(frame->height));
  if (pv_yuv_to_rgb(frame, r->rgb.data()) != PV_PREPROCESS_OK) {
    return refuse(error, "The camera's frame is shorter than its size says");
  }
  return describe(r, r->rgb.data(), frame->width, frame->height, 3, orientation, descriptor, start, nanos, error);
}

// Merges two lists of at most k, best first; the first's go before equals.
static int merge(const int32_t* rows[2], const float* cosines[2], const int found[2], int k, int32_t* out_rows,
                 float* out_cosines) {
  int at[2] = {0, 0}, count = 0;
  while (count < k && (at[0] < found[0] || at[1] < found[1])) {
    const bool second = at[0] == found[0] || (at[1] < found[1] && cosines[1][at[1]] > cosines[0][at[0]]);
    out_rows[count] = rows[second][at[second]];
    out_cosines[count++] = cosines[second][at[second]++];
  }
  return count;
}

static int search_both(const pv_recognizer* r, const float* descriptor, int k, int32_t* rows, float* cosines) {
  std::vector<int32_t> own_rows(static_cast<size_t>(k)), added_rows(static_cast<size_t>(k));
  std::vector<float> own(static_cast<size_t>(k)), added(static_cast<size_t>(k));
  const pv_index &packaged = r->packaged.index, &more = r->added->index;
  const int found[2] = {pv_search(&packaged, descriptor, k, 0, packaged.count, own_rows.data(), own.data()),
                        pv_search(&more, descriptor, k, 0, more.count, added_rows.data(), added.data())};
  if (found[0] < 0 || found[1] < 0) return -1;
  for (int i = 0; i < found[1]; i++) added_rows[static_cast<size_t>(i)] += static_cast<int32_t>(packaged.count);
  const int32_t* lists[2] = {own_rows.data(), added_rows.data()};
  const float* values[2] = {own.data(), added.data()};
  return merge(lists, values, found, k, rows, cosines);
}

int pv_recognize(const pv_recognizer* r, const float* descriptor, int k, int32_t* rows, float* cosines,
                 int64_t* nanos) {
  const int64_t start = now_nanos();
  const pv_index& packaged = r->packaged.index;
  const int found = r->added ? search_both(r, descriptor, k, rows, cosines)
                             : pv_search(&packaged, descriptor, k, 0, packaged.count, rows, cosines);
  *nanos = now_nanos() - start;
  return found;
}

static size_t thread_count() {
  auto* pool = executorch::extension::threadpool::get_threadpool();
  return pool ? pool->get_thread_count() : 1;  // none where the runtime cannot tell the processor
}

int pv_set_threads(int count) {
  static size_t chosen = 0;  // by the runtime
  int none = 0;
  auto* pool = executorch::extension::threadpool::get_threadpool();
  if (!pool || count < 0 || !in_use.compare_exchange_strong(none, -1)) return -1;
  if (!chosen) chosen = pool->get_thread_count();
  const bool done = pool->_unsafe_reset_threadpool(count ? static_cast<uint32_t>(count) : static_cast<uint32_t>(chosen));
  in_use = 0;
  return done ? 0 : -1;
}

size_t pv_info_json(const pv_recognizer* r, char* out, size_t size) {
  char fingerprint[2 * PV_FINGERPRINT + 1], threshold[32] = "null";
  for (int i = 0; i < PV_FINGERPRINT; i++) snprintf(fingerprint + 2 * i, 3, "%02x", r->fingerprint[i]);
  if (r->packaged.index.threshold == r->packaged.index.threshold) {  // a number
    snprintf(threshold, sizeof threshold, "%.6f", static_cast<double>(r->packaged.index.threshold));
  }
  const int length = snprintf(
      out, size,
      "{\"image_size\":[%d,%d],\"dim\":%d,\"fingerprint\":\"%s\",\"photos\":%lld,\"threshold\":%s,\"isa\":\"%s\","
      "\"threads\":%zu,\"program_bytes\":%zu,\"index_bytes\":%zu,\"activation_bytes\":%zu,\"load_ms\":%.3f}",
      static_cast<int>(r->image_size[0]), static_cast<int>(r->image_size[1]), static_cast<int>(r->dim), fingerprint,
      static_cast<long long>(r->packaged.index.count), threshold, pv_isa(),
      thread_count(), r->program_file.size(), r->packaged.file.size(), r->forward->planned_bytes(), static_cast<double>(r->load_nanos) / 1e6);
  return length < 0 ? 0 : static_cast<size_t>(length);
}

int pv_select_isa(const char* name) { return pv_force_isa(name); }
