// The phone's recogniser: a mapped program and a mapped index. The plain C face of the JNI library, which
// native programs and tests on a workstation call as well.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "preprocess/preprocess.h"
#include "search/pvix.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PV_API __attribute__((visibility("default")))

typedef struct pv_recognizer pv_recognizer;

// Bytes [offset, offset + length) of an open file; it may be closed after pv_open.
typedef struct pv_file {
  int fd;
  int64_t offset, length;
} pv_file;

enum { PV_ERROR_TEXT = 256 };

// NULL on failure, with one line in `error` [PV_ERROR_TEXT].
PV_API pv_recognizer* pv_open(const pv_file* program, const pv_file* index, char* error);
PV_API void pv_close(pv_recognizer* recognizer);

// Values of one descriptor.
PV_API int32_t pv_dim(const pv_recognizer* recognizer);

// A second index that is searched with the first, in place of an earlier one; NULL takes it away. Its rows count on
// from the first index's. 0, or -1 with one line in `error` and everything as it was.
PV_API int pv_set_added(pv_recognizer* recognizer, const pv_file* index, char* error);

// Photos of both indices; a row of them. false: there is no such row.
PV_API int64_t pv_rows(const pv_recognizer* recognizer);
PV_API bool pv_row(const pv_recognizer* recognizer, int64_t row, pv_record* record);
// descriptor: float32 [dim], of a row there is.
PV_API void pv_row_descriptor(const pv_recognizer* recognizer, int64_t row, float* descriptor);

// pixels: uint8 rows of width * 4 bytes, RGBX. descriptor: float32 [dim]. nanos: preprocessing, inference.
// 0, or -1 with one line in `error`.
PV_API int pv_describe(pv_recognizer* recognizer, const uint8_t* pixels, int width, int height, int orientation,
                       float* descriptor, int64_t nanos[2], char* error);

// The same for a camera's frame; `orientation` is the EXIF one that makes it upright.
PV_API int pv_describe_yuv(pv_recognizer* recognizer, const pv_yuv* frame, int orientation, float* descriptor,
                           int64_t nanos[2], char* error);

// The best k for float32 [dim]: rows and cosines, best first; nanos: the search. Returns how many, or -1.
PV_API int pv_recognize(const pv_recognizer* recognizer, const float* descriptor, int k, int32_t* rows,
                        float* cosines, int64_t* nanos);

// JSON: image_size [height, width], dim, fingerprint (hex), photos (packaged), threshold (or null), isa, threads,
// program_bytes, index_bytes, activation_bytes, load_ms. Returns the length it needs without the final 0.
PV_API size_t pv_info_json(const pv_recognizer* recognizer, char* out, size_t size);

// Threads of every recogniser that is opened from now on; 0: as many as the runtime chose at first. 0, or -1 while a
// recogniser is open or where there are no threads.
PV_API int pv_set_threads(int count);

// Names of the operators and of the backends the runtime knows, one a line; return the length needed without the
// final 0.
PV_API size_t pv_operator_names(char* out, size_t size);
PV_API size_t pv_backend_names(char* out, size_t size);

// Use one set of kernels by name, for tests; 0, or -1 if this processor lacks it.
PV_API int pv_select_isa(const char* name);

#ifdef __cplusplus
}
#endif
