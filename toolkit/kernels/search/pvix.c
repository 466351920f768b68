#include "pvix.h"

#include <math.h>
#include <string.h>

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

static const char* const rules[] = {
    "",
    "1: the file is at least 128 bytes and starts with PVIX0001",
    "2: the header says 128 header bytes and the file's own length",
    "3: the vector type is 0 (float32), 1 (float16) or 2 (int8)",
    "4: there is at least one photo and fewer than 2^31",
    "5: the dimension is 1 to 131072",
    "6: the vectors lie inside the file at a multiple of 64",
    "7: the scales lie inside the file at a multiple of 64 for int8, and are absent otherwise",
    "8: the records lie inside the file at a multiple of 64",
    "9: the blob lies inside the file",
    "10: the information lies inside the file",
    "11: the sections stand in order and do not overlap",
    "12: every name is 1 to 4096 bytes inside the blob",
    "13: every label is at most 4096 bytes inside the blob",
    "14: every thumbnail lies inside the blob",
    "15: latitude is within 90 degrees and longitude within 180, or both are NaN",
    "16: reserved fields are 0",
    "17: the threshold is a cosine or NaN",
    "18: every scale is finite and not negative",
};
enum { RULES = sizeof rules / sizeof rules[0] };

const char* pv_index_rule(int rule) { return rule > 0 && rule < RULES ? rules[rule] : ""; }

static int inside(uint64_t offset, uint64_t bytes, uint64_t size) {
  return offset <= size && bytes <= size - offset;
}
static int aligned_inside(uint64_t offset, uint64_t bytes, uint64_t size) {
  return offset % 64 == 0 && inside(offset, bytes, size);
}

static int check_record(const uint8_t* p, uint64_t blob_bytes) {
  const uint32_t name = u32(p + 40), label = u32(p + 44), thumbnail = u32(p + 48);
  const double latitude = f64(p + 24), longitude = f64(p + 32);
  if (name < 1 || name > 4096 || !inside(u64(p), name, blob_bytes)) return 12;
  if (label > 4096 || !inside(u64(p + 8), label, blob_bytes)) return 13;
  if (!inside(u64(p + 16), thumbnail, blob_bytes)) return 14;
  const int unknown = isnan(latitude) && isnan(longitude);
  if (!unknown && !(fabs(latitude) <= 90 && fabs(longitude) <= 180)) return 15;
  return u32(p + 52) ? 16 : 0;
}

static int check_sections(const uint8_t* data, uint64_t size, const pv_index* index) {
  static const uint64_t value_bytes[] = {4, 2, 1};
  const uint64_t n = (uint64_t)index->count;
  const uint64_t vectors = u64(data + 64), scales = u64(data + 72), records = u64(data + 80);
  const uint64_t blob = u64(data + 88), blob_bytes = u64(data + 96), info = u64(data + 104);
  const uint64_t vector_bytes = n * (uint64_t)index->dim * value_bytes[index->dtype];
  const uint64_t scale_bytes = index->dtype == PV_INT8 ? n * 4 : 0;
  if (!aligned_inside(vectors, vector_bytes, size)) return 6;
  if (index->dtype == PV_INT8 ? !aligned_inside(scales, scale_bytes, size) : scales != 0) return 7;
  if (!aligned_inside(records, n * PV_PVIX_RECORD, size)) return 8;
  if (!inside(blob, blob_bytes, size)) return 9;
  if (!inside(info, index->info_bytes, size)) return 10;
  const uint64_t after_vectors = scale_bytes ? scales : records;
  const int ordered = vectors >= PV_PVIX_HEADER && vectors + vector_bytes <= after_vectors &&
                      after_vectors + scale_bytes <= records && records + n * PV_PVIX_RECORD <= blob &&
                      blob + blob_bytes <= info;
  return ordered ? 0 : 11;
}

int pv_index_open(const uint8_t* data, size_t size, pv_index* index) {
  if (size < PV_PVIX_HEADER || memcmp(data, "PVIX0001", 8)) return 1;
  if (u32(data + 8) != PV_PVIX_HEADER || u64(data + 120) != size) return 2;
  if (u32(data + 12) > PV_INT8) return 3;
  const uint64_t count = u64(data + 16);
  if (count < 1 || count >= (uint64_t)1 << 31) return 4;
  const uint32_t dim = u32(data + 24);
  if (dim < 1 || dim > PV_MAX_DIM) return 5;
  index->dtype = (int32_t)u32(data + 12);
  index->count = (int64_t)count;
  index->dim = (int32_t)dim;
  index->info_bytes = u64(data + 112);
  const int broken = check_sections(data, size, index);
  if (broken) return broken;
  index->vectors = data + u64(data + 64);
  index->scales = index->dtype == PV_INT8 ? (const float*)(const void*)(data + u64(data + 72)) : NULL;
  index->records = data + u64(data + 80);
  index->blob = data + u64(data + 88);
  index->info = data + u64(data + 104);
  index->fingerprint = data + 32;
  index->threshold = f32(data + 28);
  for (int64_t row = 0; row < index->count; row++) {
    const int rule = check_record(index->records + row * PV_PVIX_RECORD, u64(data + 96));
    if (rule) return rule;
  }
  if (!isnan(index->threshold) && !(fabsf(index->threshold) <= 1)) return 17;
  for (int64_t row = 0; index->scales && row < index->count; row++) {
    if (!(index->scales[row] >= 0) || isinf(index->scales[row])) return 18;
  }
  return 0;
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
