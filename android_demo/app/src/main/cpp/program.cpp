#include "program.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace pocketvlad {

using executorch::runtime::Error;
using executorch::runtime::HierarchicalAllocator;
using executorch::runtime::MemoryManager;
using executorch::runtime::Method;
using executorch::runtime::Program;

namespace {
constexpr size_t kAlignment = 64;     // bytes: a cache line, and enough for any kernel
constexpr size_t kLeastBlock = 4096;  // bytes: a method's own structures are many and small
}  // namespace

void* HeapAllocator::allocate(size_t size, size_t alignment) {
  if (!isPowerOf2(alignment) || alignment > kAlignment || size > SIZE_MAX - kAlignment) return nullptr;
  const size_t rounded = (size / kAlignment + (size % kAlignment || size == 0)) * kAlignment;
  if (blocks_.empty() || blocks_.back().size - blocks_.back().used < rounded) {
    const size_t bytes = std::max({rounded, wanted_, kLeastBlock});
    void* data = nullptr;
    if (posix_memalign(&data, kAlignment, bytes)) return nullptr;
    blocks_.push_back({static_cast<uint8_t*>(data), bytes, 0});
    wanted_ = 0;
  }
  Block& block = blocks_.back();
  block.used += rounded;
  return block.data + block.used - rounded;
}

void HeapAllocator::reset() {
  if (blocks_.size() == 1) {
    blocks_[0].used = 0;
    return;
  }
  size_t total = 0;
  for (const Block& block : blocks_) total += block.size;
  release();
  wanted_ = total;
}

void HeapAllocator::release() {
  for (const Block& block : blocks_) free(block.data);
  blocks_.clear();
}

std::unique_ptr<LoadedMethod> LoadedMethod::load(const Program& program, const char* name, Error* error) {
  auto meta = program.method_meta(name);
  if (!meta.ok()) {
    *error = meta.error();
    return nullptr;
  }
  std::unique_ptr<LoadedMethod> loaded(new LoadedMethod());
  for (size_t i = 0; i < meta->num_memory_planned_buffers(); i++) {
    const size_t bytes = static_cast<size_t>(meta->memory_planned_buffer_size(i).get());
    auto* data = static_cast<uint8_t*>(loaded->planned_memory_.allocate(bytes));
    if (!data) {
      *error = Error::MemoryAllocationFailed;
      return nullptr;
    }
    loaded->spans_.push_back({data, bytes});
    loaded->planned_bytes_ += bytes;
  }
  loaded->planned_ = std::make_unique<HierarchicalAllocator>(
      executorch::runtime::Span<executorch::runtime::Span<uint8_t>>(loaded->spans_.data(), loaded->spans_.size()));
  loaded->manager_ =
      std::make_unique<MemoryManager>(&loaded->method_memory_, loaded->planned_.get(), &loaded->temporary_memory_);
  auto method = program.load_method(name, loaded->manager_.get());
  if (!method.ok()) {
    *error = method.error();
    return nullptr;
  }
  loaded->method_ = std::make_unique<Method>(std::move(*method));
  return loaded;
}

bool read_constant(const Program& program, const char* name, void* out, size_t bytes) {
  Error error = Error::Ok;
  auto loaded = LoadedMethod::load(program, name, &error);
  if (!loaded || loaded->method().inputs_size() || loaded->method().outputs_size() != 1) return false;
  if (loaded->method().execute() != Error::Ok) return false;
  const auto& value = loaded->method().get_output(0);
  if (!value.isTensor() || value.toTensor().nbytes() != bytes || !value.toTensor().const_data_ptr()) return false;
  std::memcpy(out, value.toTensor().const_data_ptr(), bytes);
  return true;
}

}  // namespace pocketvlad
