#include "recognizer.h"

#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include <cstdio>
#include <cstring>

#include <executorch/extension/threadpool/threadpool.h>
#include <executorch/runtime/backend/interface.h>
#include <executorch/runtime/kernel/operator_registry.h>
#include <executorch/runtime/platform/runtime.h>

#include "lut/lut.h"
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
using pocketvlad::read_constant;

extern "C" const int pv_ops_registered;  // of the adapter: keeps it in the library

namespace {

constexpr int64_t kLargestSide = 16384;  // pixels of a model's input

// A read-only mapping of part of a file.
class Mapping {
 public:
  ~Mapping() {
    if (base_) munmap(base_, bytes_);
  }
  bool open(const pv_file& file) {
    const int64_t page = static_cast<int64_t>(getauxval(AT_PAGESZ));
    const int64_t start = file.offset / page * page;
    struct stat status;
    if (fstat(file.fd, &status) || file.offset < 0 || file.length <= 0 || file.offset > status.st_size ||
        file.length > status.st_size - file.offset) {
      return false;  // reading past the end of a file kills the process
    }
    bytes_ = static_cast<size_t>(file.offset - start + file.length);
    void* base = mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE, file.fd, static_cast<off_t>(start));
    if (base == MAP_FAILED) return false;
    base_ = base;
    data_ = static_cast<const uint8_t*>(base) + (file.offset - start);
    size_ = static_cast<size_t>(file.length);
    return true;
  }
  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void* base_ = nullptr;
  size_t bytes_ = 0;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

int64_t now_nanos() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<int64_t>(t.tv_sec) * 1000000000 + t.tv_nsec;
}

}  // namespace

struct pv_recognizer {
  Mapping program_file, index_file;
  std::unique_ptr<BufferDataLoader> loader;
  std::unique_ptr<Result<Program>> program;
  std::unique_ptr<LoadedMethod> forward;
  pv_index index{};
  int64_t image_size[2] = {0, 0}, dim = 0, load_nanos = 0;
  int64_t upright = 1;  // whether photos are turned as their EXIF says
  float mean[3], deviation[3];
  uint8_t fingerprint[PV_FINGERPRINT];
  std::vector<float> input;
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
      r.image_size[1] > kLargestSide) {
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

static bool open_index(pv_recognizer& r, const pv_file& file, char* error) {
  if (!r.index_file.open(file)) return fail(error, "The place index cannot be mapped");
  const int rule = pv_index_open(r.index_file.data(), r.index_file.size(), &r.index);
  if (rule) {
    snprintf(error, PV_ERROR_TEXT, "The place index is damaged: rule %s", pv_index_rule(rule));
    return false;
  }
  if (r.index.dim != r.dim || std::memcmp(r.index.fingerprint, r.fingerprint, PV_FINGERPRINT) != 0) {
    return fail(error, "The place index belongs to another model; build it again");
  }
  return true;
}

pv_recognizer* pv_open(const pv_file* program, const pv_file* index, char* error) {
  executorch::runtime::runtime_init();
  const int64_t start = now_nanos();
  auto recognizer = std::make_unique<pv_recognizer>();
  if (!pv_ops_registered) {
    fail(error, "The lookup kernels could not be registered");
    return nullptr;
  }
  if (!open_program(*recognizer, *program, error) || !open_index(*recognizer, *index, error)) return nullptr;
  recognizer->load_nanos = now_nanos() - start;
  return recognizer.release();
}

void pv_close(pv_recognizer* recognizer) { delete recognizer; }

int32_t pv_dim(const pv_recognizer* recognizer) { return static_cast<int32_t>(recognizer->dim); }

const pv_index* pv_places(const pv_recognizer* recognizer) { return &recognizer->index; }

int pv_describe(pv_recognizer* r, const uint8_t* pixels, int width, int height, int orientation, float* descriptor,
                int64_t nanos[2], char* error) {
  const int64_t start = now_nanos();
  const int status =
      pv_preprocess(pixels, width, height, static_cast<size_t>(width) * 4, 4, r->upright ? orientation : 1,
                    static_cast<int>(r->image_size[0]), static_cast<int>(r->image_size[1]), r->mean, r->deviation,
                    r->input.data());
  if (status != PV_PREPROCESS_OK) return refuse(error, "The photo cannot be resized");
  const int64_t ready = now_nanos();
  TensorImpl::SizesType sizes[4] = {1, 3, static_cast<int>(r->image_size[0]), static_cast<int>(r->image_size[1])};
  TensorImpl::DimOrderType order[4] = {0, 1, 2, 3};
  TensorImpl image(ScalarType::Float, 4, sizes, r->input.data(), order);
  auto& method = r->forward->method();
  Error code = method.set_input(EValue(Tensor(&image)), 0);
  if (code == Error::Ok) code = method.execute();
  if (code != Error::Ok) return refuse(error, "The model failed on this photo", static_cast<int>(code));
  const Tensor& result = method.get_output(0).toTensor();
  if (result.scalar_type() != ScalarType::Float || result.numel() != r->dim) {
    return refuse(error, "The model returned something that is no descriptor");
  }
  std::memcpy(descriptor, result.const_data_ptr<float>(), sizeof(float) * static_cast<size_t>(r->dim));
  nanos[0] = ready - start;
  nanos[1] = now_nanos() - ready;
  return 0;
}

int pv_recognize(const pv_recognizer* r, const float* descriptor, int k, int32_t* rows, float* cosines,
                 int64_t* nanos) {
  const int64_t start = now_nanos();
  const int found = pv_search(&r->index, descriptor, k, 0, r->index.count, rows, cosines);
  *nanos = now_nanos() - start;
  return found;
}

size_t pv_info_json(const pv_recognizer* r, char* out, size_t size) {
  char fingerprint[2 * PV_FINGERPRINT + 1], threshold[32] = "null";
  for (int i = 0; i < PV_FINGERPRINT; i++) snprintf(fingerprint + 2 * i, 3, "%02x", r->fingerprint[i]);
  if (r->index.threshold == r->index.threshold) {  // a number
    snprintf(threshold, sizeof threshold, "%.6f", static_cast<double>(r->index.threshold));
  }
  const int length = snprintf(
      out, size,
      "{\"image_size\":[%d,%d],\"dim\":%d,\"fingerprint\":\"%s\",\"photos\":%lld,\"threshold\":%s,\"isa\":\"%s\","
      "\"threads\":%zu,\"program_bytes\":%zu,\"index_bytes\":%zu,\"activation_bytes\":%zu,\"load_ms\":%.3f}",
      static_cast<int>(r->image_size[0]), static_cast<int>(r->image_size[1]), static_cast<int>(r->dim), fingerprint,
      static_cast<long long>(r->index.count), threshold, pv_isa(),
      executorch::extension::threadpool::get_threadpool()->get_thread_count(), r->program_file.size(),
      r->index_file.size(), r->forward->planned_bytes(), static_cast<double>(r->load_nanos) / 1e6);
  return length < 0 ? 0 : static_cast<size_t>(length);
}

// Appends `name` and a line feed where they and a final 0 fit in `size`; returns the length they make.
static size_t add_line(char* out, size_t size, size_t length, const char* name) {
  const size_t bytes = std::strlen(name);
  if (length + bytes + 1 < size) {
    std::memcpy(out + length, name, bytes);
    std::memcpy(out + length + bytes, "\n", 2);
  }
  return length + bytes + 1;
}

size_t pv_operator_names(char* out, size_t size) {
  executorch::runtime::runtime_init();
  size_t length = 0;
  for (const auto& kernel : executorch::runtime::get_registered_kernels()) {
    length = add_line(out, size, length, kernel.name_);
  }
  return length;
}

size_t pv_backend_names(char* out, size_t size) {
  executorch::runtime::runtime_init();
  size_t length = 0;
  for (size_t i = 0; i < executorch::runtime::get_num_registered_backends(); i++) {
    const auto name = executorch::runtime::get_backend_name(i);
    if (name.ok()) length = add_line(out, size, length, name.get());
  }
  return length;
}

int pv_select_isa(const char* name) { return pv_force_isa(name); }
