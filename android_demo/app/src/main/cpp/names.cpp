// What the runtime knows: its operators and its backends.
#include <cstring>

#include <executorch/runtime/backend/interface.h>
#include <executorch/runtime/kernel/operator_registry.h>
#include <executorch/runtime/platform/runtime.h>

#include "recognizer.h"

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
