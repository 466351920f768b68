/* The place index (.pvix) as mapped memory: checked once, then read in place. Format: pocketvlad/index/FORMAT.md. */
#ifndef POCKETVLAD_PVIX_H
#define POCKETVLAD_PVIX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { PV_FLOAT32 = 0, PV_FLOAT16 = 1, PV_INT8 = 2 };
enum { PV_PVIX_HEADER = 136, PV_PVIX_RECORD = 56, PV_FINGERPRINT = 32, PV_MAX_DIM = 131072 };

/* An open index: pointers into the mapping, which must outlive it. */
typedef struct pv_index {
  const uint8_t* vectors;     /* [count, dim] of `dtype` */
  const float* scales;        /* [count], int8 only, else NULL */
  const uint8_t* residuals;   /* [count, pv_residual_bytes(dim)], int8 only, else NULL */
  const uint8_t* records;     /* [count, PV_PVIX_RECORD] */
  const uint8_t* blob;        /* names, labels, thumbnails */
  const uint8_t* info;        /* JSON */
  const uint8_t* fingerprint; /* [PV_FINGERPRINT] */
  uint64_t info_bytes;
  int64_t count;
  int32_t dim, dtype;
  float threshold; /* cosine under which a place is unknown; NaN: none */
} pv_index;

typedef struct pv_record {
  const char *name, *label;     /* UTF-8, not terminated */
  const uint8_t* thumbnail;     /* JPEG, or NULL */
  uint32_t name_bytes, label_bytes, thumbnail_bytes;
  double latitude, longitude; /* degrees; NaN: unknown */
} pv_record;

/* 0, or the number of the first rule of FORMAT.md the bytes break. `data` is aligned to 4 bytes, as any mapping is;
 * the vectors and thumbnails themselves are not read. */
int pv_index_open(const uint8_t* data, size_t size, pv_index* index);
/* What a rule demands, one line. */
const char* pv_index_rule(int rule);
/* Of a row's residuals, 2 bits a value. */
size_t pv_residual_bytes(int32_t dim);
void pv_index_record(const pv_index* index, int64_t row, pv_record* record);
/* A row as float32 [dim]: float16 and int8 values as FORMAT.md reads them. */
void pv_index_vector(const pv_index* index, int64_t row, float* vector);

#ifdef __cplusplus
}
#endif
#endif
