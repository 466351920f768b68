/* Included before everything: what bionic declares and musl's headers lack, or spell otherwise. */
#pragma once
#ifdef __cplusplus
extern "C" {
#endif
#include <locale.h>
long long strtoll_l(const char*, char**, int, locale_t);
unsigned long long strtoull_l(const char*, char**, int, locale_t);
int* __errno(void) __attribute__((const));
void __assert2(const char*, int, const char*, const char*) __attribute__((noreturn));
#ifdef __cplusplus
}
#endif
#define __errno_location __errno
#define __assert_fail(expression, file, line, function) __assert2(file, line, function, expression)
