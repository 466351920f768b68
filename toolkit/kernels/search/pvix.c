#include "pvix.h"

#include <math.h>
#include <string.h>

#include "text.h"

static uint32_t u32(const uint8_t* p) {
  return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static uint64_t u64(const uint8_t* p) { return (uint64_t)u32(p) | (uint64_t)u32(p + 4) << 32; }
static float f32(const uint8_t* p) {
  const uint32_t bits = u32(p);
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}
static double f64(const uint8_t* p) {
  const uint64_t bits = u64(p);
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* Word for word FORMAT.md's, in the order they are checked. */
static const char* const rules[] = {
    "",
    "1: the file is at least 136 bytes and starts with PVIX0002",
    "2: the header says 136 header bytes and the file's own length",
    "3: the vector type is 0, 1 or 2",
    "4: there is at least one photo and fewer than 2^31",
    "5: the dimension is 1 to 131,072",
    "6: the vectors lie inside the file at a multiple of 64",
    "7: the scales lie inside the file at a multiple of 64 for int8, and their offset is 0 otherwise",
    "8: the residuals lie inside the file at a multiple of 64 for int8, and their offset is 0 otherwise",
    "9: the records lie inside the file at a multiple of 64",
    "10: the blob lies inside the file",
    "11: the information lies inside the file",
    "12: header, vectors, scales, residuals, records, blob and information stand in this order and do not overlap",
    "13: the threshold is within 1 and -1, or NaN",
    "14: the information is UTF-8 and stands in braces",
    "15: every scale is finite and not negative",
    "16: every name is 1 to 4,096 bytes inside the blob",
    "17: every label is at most 4,096 bytes inside the blob",
    "18: every thumbnail is at most 16,777,216 bytes inside the blob",
    "19: latitude is within 90 degrees and longitude within 180, or both are NaN",
    "20: the reserved field of every record is 0",
    "21: every name and label is UTF-8 without control characters",
};
enum { RULES = sizeof rules / sizeof rules[0] };

const char* pv_index_rule(int rule) { return rule > 0 && rule < RULES ? rules[rule] : ""; }

static int inside(uint64_t offset, uint64_t bytes, uint64_t size) {
  return offset <= size && bytes <= size - offset;
}
static int aligned_inside(uint64_t offset, uint64_t bytes, uint64_t size) {
  return offset % 64 == 0 && inside(offset, bytes, size);
}

enum { LARGEST_THUMBNAIL = 1 << 24 }; /* bytes: the app takes one whole into a Java array */

static int check_record(const uint8_t* p, const uint8_t* blob, uint64_t blob_bytes) {
  const uint32_t name = u32(p + 40), label = u32(p + 44), thumbnail = u32(p + 48);
  const double latitude = f64(p + 24), longitude = f64(p + 32);
  if (name < 1 || name > 4096 || !inside(u64(p), name, blob_bytes)) return 16;
  if (label > 4096 || !inside(u64(p + 8), label, blob_bytes)) return 17;
  if (thumbnail > LARGEST_THUMBNAIL || !inside(u64(p + 16), thumbnail, blob_bytes)) return 18;
  const int unknown = isnan(latitude) && isnan(longitude);
  if (!unknown && !(fabs(latitude) <= 90 && fabs(longitude) <= 180)) return 19;
  if (u32(p + 52)) return 20;
  return pv_is_text(blob + u64(p), name, 0) && pv_is_text(blob + u64(p + 8), label, 0) ? 0 : 21;
}

size_t pv_residual_bytes(int32_t dim) { return ((size_t)dim + 3) / 4; }

static int check_sections(const uint8_t* data, uint64_t size, const pv_index* index) {
  static const uint64_t value_bytes[] = {4, 2, 1};
  const uint64_t n = (uint64_t)index->count;
  const uint64_t vectors = u64(data + 64), scales = u64(data + 72), residuals = u64(data + 80);
  const uint64_t records = u64(data + 88), blob = u64(data + 96), blob_bytes = u64(data + 104);
  const uint64_t info = u64(data + 112), info_bytes = u64(data + 120);
  const int quantized = index->dtype == PV_INT8;
  const uint64_t vector_bytes = n * (uint64_t)index->dim * value_bytes[index->dtype]; /* below 2^50 */
  const uint64_t scale_bytes = n * 4, residual_bytes = n * pv_residual_bytes(index->dim);
  if (!aligned_inside(vectors, vector_bytes, size)) return 6;
  if (quantized ? !aligned_inside(scales, scale_bytes, size) : scales != 0) return 7;
  if (quantized ? !aligned_inside(residuals, residual_bytes, size) : residuals != 0) return 8;
  if (!aligned_inside(records, n * PV_PVIX_RECORD, size)) return 9;
  if (!inside(blob, blob_bytes, size)) return 10;
  if (!inside(info, info_bytes, size)) return 11;
  const int stored = quantized ? vectors + vector_bytes <= scales && scales + scale_bytes <= residuals &&
                                     residuals + residual_bytes <= records
                               : vectors + vector_bytes <= records;
  const int ordered = stored && vectors >= PV_PVIX_HEADER && records + n * PV_PVIX_RECORD <= blob &&
                      blob + blob_bytes <= info;
  return ordered ? 0 : 12;
}

static int check_header(const uint8_t* data, uint64_t size) {
  if (size < PV_PVIX_HEADER || memcmp(data, "PVIX0002", 8)) return 1;
  if (u32(data + 8) != PV_PVIX_HEADER || u64(data + 128) != size) return 2;
  if (u32(data + 12) > PV_INT8) return 3;
  const uint64_t count = u64(data + 16);
  if (count < 1 || count >= (uint64_t)1 << 31) return 4;
  const uint32_t dim = u32(data + 24);
  return dim < 1 || dim > PV_MAX_DIM ? 5 : 0;
}

static int check_contents(const pv_index* index, uint64_t blob_bytes) {
  if (!isnan(index->threshold) && !(fabsf(index->threshold) <= 1)) return 13;
  const int braces = index->info_bytes >= 2 && index->info[0] == '{' && index->info[index->info_bytes - 1] == '}';
  if (!braces || !pv_is_text(index->info, index->info_bytes, 1)) return 14;
  for (int64_t row = 0; index->dtype == PV_INT8 && row < index->count; row++) {
    if (!(index->scales[row] >= 0) || isinf(index->scales[row])) return 15;
  }
  for (int64_t row = 0; row < index->count; row++) {
    const int rule = check_record(index->records + row * PV_PVIX_RECORD, index->blob, blob_bytes);
    if (rule) return rule;
  }
  return 0;
}

int pv_index_open(const uint8_t* data, size_t size, pv_index* index) {
  int broken = check_header(data, size);
  if (broken) return broken;
  index->dtype = (int32_t)u32(data + 12);
  index->count = (int64_t)u64(data + 16);
  index->dim = (int32_t)u32(data + 24);
  broken = check_sections(data, size, index);
  if (broken) return broken;
  index->vectors = data + u64(data + 64);
  index->scales = index->dtype == PV_INT8 ? (const float*)(const void*)(data + u64(data + 72)) : NULL;
  index->residuals = index->dtype == PV_INT8 ? data + u64(data + 80) : NULL;
  index->records = data + u64(data + 88);
  index->blob = data + u64(data + 96);
  index->info = data + u64(data + 112);
  index->info_bytes = u64(data + 120);
  index->fingerprint = data + 32;
  index->threshold = f32(data + 28);
  return check_contents(index, u64(data + 104));
}

void pv_index_record(const pv_index* index, int64_t row, pv_record* record) {
  const uint8_t* p = index->records + row * PV_PVIX_RECORD;
  record->name = (const char*)index->blob + u64(p);
  record->label = (const char*)index->blob + u64(p + 8);
  record->latitude = f64(p + 24);
  record->longitude = f64(p + 32);
  record->name_bytes = u32(p + 40);
  record->label_bytes = u32(p + 44);
  record->thumbnail_bytes = u32(p + 48);
  record->thumbnail = record->thumbnail_bytes ? index->blob + u64(p + 16) : NULL;
}
