// A read-only mapping of part of a file.
#pragma once

#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "recognizer.h"

namespace pocketvlad {

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

}  // namespace pocketvlad
