// An ExecuTorch program read in place from mapped memory. Only Program, Method, MemoryManager and
// BufferDataLoader of the runtime are used, so that no type of the C++ library crosses its boundary.
#pragma once

#include <memory>
#include <vector>

#include <executorch/extension/data_loader/buffer_data_loader.h>
#include <executorch/runtime/core/hierarchical_allocator.h>
#include <executorch/runtime/executor/memory_manager.h>
#include <executorch/runtime/executor/method.h>
#include <executorch/runtime/executor/program.h>

namespace pocketvlad {

// Memory that grows by malloc. After reset() the next allocations share one block as large as all before it, so
// that the scratch of one kernel after the other touches the same pages.
class HeapAllocator : public executorch::runtime::MemoryAllocator {
 public:
  HeapAllocator() : MemoryAllocator(0, nullptr) {}
  ~HeapAllocator() override { release(); }
  void* allocate(size_t size, size_t alignment = kDefaultAlignment) override;
  void reset() override;

 private:
  struct Block {
    uint8_t* data;
    size_t size, used;
  };
  void release();
  std::vector<Block> blocks_;
  size_t wanted_ = 0;
};

// A loaded method with the memory its plan asks for.
class LoadedMethod {
 public:
  // nullptr on failure, with the reason in `error`.
  static std::unique_ptr<LoadedMethod> load(const executorch::runtime::Program& program, const char* name,
                                            executorch::runtime::Error* error);
  executorch::runtime::Method& method() { return *method_; }
  size_t planned_bytes() const { return planned_bytes_; }

 private:
  LoadedMethod() = default;
  HeapAllocator planned_memory_, method_memory_, temporary_memory_;
  std::vector<executorch::runtime::Span<uint8_t>> spans_;
  std::unique_ptr<executorch::runtime::HierarchicalAllocator> planned_;
  std::unique_ptr<executorch::runtime::MemoryManager> manager_;
  std::unique_ptr<executorch::runtime::Method> method_;
  size_t planned_bytes_ = 0;
};

// Copies the bytes of the tensor that the argumentless method `name` returns; false if it is not
// `bytes` long.
bool read_constant(const executorch::runtime::Program& program, const char* name, void* out, size_t bytes);

}  // namespace pocketvlad
