/* An ExecuTorch program (.pte) checked before the runtime sees a byte of it: the runtime follows offsets and indices
 * as they stand. The rules are docs/formats.md's; every check reads the bytes alone and allocates nothing. */
#ifndef POCKETVLAD_PROGRAM_CHECK_H
#define POCKETVLAD_PROGRAM_CHECK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 0, or the number of the first rule the bytes break. Flatbuffer and graphs are checked in time linear in their
 * size; a seal costs one pass over the file. `sealed`, if not NULL: whether the program carries one. */
int pv_program_check(const uint8_t* data, size_t size, int* sealed);
/* What a rule demands, one line. */
const char* pv_program_rule(int rule);

/* XXH64 of the bytes with seed 0 (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md). */
uint64_t pv_xxh64(const uint8_t* data, size_t size);
/* What stands behind the last segment of a sealed program: the runtime reads no further than that. */
enum { PV_SEAL = 32 };
/* The seal of a file of `size` bytes. */
void pv_program_seal(const uint8_t* data, size_t size, uint8_t seal[PV_SEAL]);

#ifdef __cplusplus
}
#endif
#endif
