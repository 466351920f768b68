// ExecuTorch programs behind a C interface, for Python (pocketvlad/core/program.py) and any other language: the
// runtime's own bindings need torch to be loaded first, this needs nothing.
//
// Every call returns an executorch::runtime::Error as a number, 0 for none. One call at a time.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor_ptr_maker.h>

// The runtime's wheel has no header of its thread pool; this is what is called of it.
namespace executorch::extension::threadpool {
class ThreadPool {
 public:
  size_t get_thread_count() const;
  bool _unsafe_reset_threadpool(uint32_t threads);
};
ThreadPool* get_threadpool();
} // namespace executorch::extension::threadpool

namespace {

using executorch::aten::ScalarType;
using executorch::extension::Module;
using executorch::runtime::Error;
using executorch::runtime::EValue;
using executorch::runtime::Program;

constexpr int kMaxDims = 8;

// Runs `body`; what C++ throws is an internal error of the runtime.
template <typename Body>
int guarded(const Body& body) {
  try {
    return static_cast<int>(body());
  } catch (const std::bad_alloc&) {
    return static_cast<int>(Error::MemoryAllocationFailed);
  } catch (const std::exception&) {
    return static_cast<int>(Error::Internal);
  }
}

} // namespace

extern "C" {

// A dense array: `type` is the runtime's ScalarType (6: float32).
struct pv_array {
  void* data;
  int32_t type, dims;
  int32_t sizes[kMaxDims];
};

const char* pv_et_error(int error) {
  return executorch::runtime::to_string(static_cast<Error>(error));
}

// Threads of the one pool that all programs share; the first call makes it.
uint32_t pv_et_threads() {
  auto* pool = executorch::extension::threadpool::get_threadpool();
  return pool ? static_cast<uint32_t>(pool->get_thread_count()) : 1;
}

int pv_et_set_threads(uint32_t threads) {
  return guarded([&] {
    auto* pool = executorch::extension::threadpool::get_threadpool();
    return pool && pool->_unsafe_reset_threadpool(threads) ? Error::Ok : Error::Internal;
  });
}

// Maps the file and loads its method `forward`, if it has one.
int pv_et_open(const char* path, Module** out) {
  return guarded([&] {
    auto module = std::make_unique<Module>(path, Module::LoadMode::Mmap);
    Error error = module->load(Program::Verification::InternalConsistency);
    if (error != Error::Ok) return error;
    auto names = module->method_names();
    if (!names.ok()) return names.error();
    if (names->count("forward")) error = module->load_method("forward", nullptr, nullptr);
    if (error == Error::Ok) *out = module.release();
    return error;
  });
}

void pv_et_close(Module* module) {
  delete module;
}

// The names of the methods, each followed by a newline; InvalidArgument if they do not fit.
int pv_et_methods(Module* module, char* out, size_t bytes) {
  return guarded([&] {
    auto names = module->method_names();
    if (!names.ok()) return names.error();
    std::vector<std::string> sorted(names->begin(), names->end());
    std::sort(sorted.begin(), sorted.end());
    std::string text;
    for (const std::string& name : sorted) text += name + "\n";
    if (text.size() >= bytes) return Error::InvalidArgument;
    std::memcpy(out, text.c_str(), text.size() + 1);
    return Error::Ok;
  });
}

// Type and sizes of an input; InvalidArgument where there is none of this number, or no tensor.
int pv_et_input(Module* module, const char* method, size_t number, pv_array* out) {
  return guarded([&] {
    auto meta = module->method_meta(method);
    if (!meta.ok()) return meta.error();
    if (number >= meta->num_inputs()) return Error::InvalidArgument;
    auto tensor = meta->input_tensor_meta(number);
    if (!tensor.ok()) return tensor.error();
    const auto sizes = tensor->sizes();
    if (sizes.size() > kMaxDims) return Error::NotSupported;
    *out = {nullptr, static_cast<int32_t>(tensor->scalar_type()), static_cast<int32_t>(sizes.size()), {}};
    std::copy(sizes.begin(), sizes.end(), out->sizes);
    return Error::Ok;
  });
}

// Runs a method on arrays of the sizes of its inputs. `out` is its first output, in the program's own memory until the
// next call.
int pv_et_run(Module* module, const char* method, const pv_array* inputs, size_t count, pv_array* out) {
  return guarded([&] {
    std::vector<executorch::extension::TensorPtr> tensors;
    std::vector<EValue> values;
    for (size_t i = 0; i < count; i++) {
      const pv_array& in = inputs[i];
      std::vector<int32_t> sizes(in.sizes, in.sizes + in.dims);
      tensors.push_back(executorch::extension::from_blob(in.data, sizes, static_cast<ScalarType>(in.type)));
      values.emplace_back(tensors.back());
    }
    auto outputs = module->execute(method, values);
    if (!outputs.ok()) return outputs.error();
    if (outputs->empty() || !(*outputs)[0].isTensor()) return Error::NotSupported;
    const auto tensor = (*outputs)[0].toTensor();
    if (tensor.dim() > kMaxDims) return Error::NotSupported;
    *out = {
        const_cast<void*>(tensor.const_data_ptr()), static_cast<int32_t>(tensor.scalar_type()),
        static_cast<int32_t>(tensor.dim()), {}};
    std::copy(tensor.sizes().begin(), tensor.sizes().end(), out->sizes);
    return Error::Ok;
  });
}

} // extern "C"
