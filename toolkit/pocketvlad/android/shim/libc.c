/* Android's libc on glibc: what the app's libraries import and glibc has not, or has with other constants or
 * sizes. Everything else is forwarded by generated trampolines. For running an APK's own libraries on a
 * workstation; a phone never sees this file. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHIM(name) shim_##name
#define SHIMDATA(name) shim_##name
#define EXPORT __attribute__((used))

/* bionic's FILE objects are 152 bytes in one array. */
enum { BIONIC_FILE = 152 };
EXPORT char SHIMDATA(__sF)[3 * BIONIC_FILE];
EXPORT FILE *SHIMDATA(stderr), *SHIMDATA(stdout), *SHIMDATA(stdin);
EXPORT char* SHIMDATA(__progname) = "pocketvlad";

__attribute__((constructor)) static void set_streams(void) {
  shim_stderr = stderr;
  shim_stdout = stdout;
  shim_stdin = stdin;
}

static FILE* glibc_file(FILE* file) {
  const char* p = (const char*)file;
  if (p < shim___sF || p >= shim___sF + sizeof shim___sF) return file;
  const long which = (p - shim___sF) / BIONIC_FILE;
  return which == 0 ? stdin : which == 1 ? stdout : stderr;
}

EXPORT int SHIM(vfprintf)(FILE* f, const char* format, va_list args) { return vfprintf(glibc_file(f), format, args); }
EXPORT int SHIM(fprintf)(FILE* f, const char* format, ...) {
  va_list args;
  va_start(args, format);
  const int n = vfprintf(glibc_file(f), format, args);
  va_end(args);
  return n;
}
EXPORT int SHIM(fputc)(int c, FILE* f) { return fputc(c, glibc_file(f)); }
EXPORT int SHIM(fputs)(const char* s, FILE* f) { return fputs(s, glibc_file(f)); }
EXPORT size_t SHIM(fwrite)(const void* p, size_t size, size_t n, FILE* f) { return fwrite(p, size, n, glibc_file(f)); }
EXPORT int SHIM(fflush)(FILE* f) { return fflush(f ? glibc_file(f) : NULL); }

/* Names only bionic has. */
EXPORT void SHIM(android_set_abort_message)(const char* text) { fprintf(stderr, "abort: %s\n", text); }
EXPORT int SHIM(__system_property_get)(const char* name, char* value) {
  (void)name;
  *value = 0;
  return 0;
}
EXPORT const void* SHIM(__system_property_find)(const char* name) {
  (void)name;
  return NULL;
}
EXPORT void SHIM(__assert2)(const char* file, int line, const char* function, const char* text) {
  fprintf(stderr, "%s:%d %s: assertion %s\n", file, line, function, text);
  abort();
}
EXPORT size_t SHIM(__strlen_chk)(const char* s, size_t size) { (void)size; return strlen(s); }
EXPORT char* SHIM(__strchr_chk)(const char* s, int c, size_t size) { (void)size; return strchr(s, c); }
EXPORT char* SHIM(__strrchr_chk)(const char* s, int c, size_t size) { (void)size; return strrchr(s, c); }
EXPORT int SHIM(__open_2)(const char* path, int flags) { return open(path, flags); }
EXPORT ssize_t SHIM(__read_chk)(int fd, void* p, size_t n, size_t size) { (void)size; return read(fd, p, n); }
EXPORT ssize_t SHIM(__write_chk)(int fd, const void* p, size_t n, size_t size) { (void)size; return write(fd, p, n); }
EXPORT ssize_t SHIM(__pread_chk)(int fd, void* p, size_t n, off_t at, size_t size) {
  (void)size;
  return pread(fd, p, n, at);
}

/* The same question under another number. */
EXPORT long SHIM(sysconf)(int name) {
  switch (name) {
    case 6: return sysconf(_SC_CLK_TCK);
    case 11: return sysconf(_SC_OPEN_MAX);
    case 39:
    case 40: return sysconf(_SC_PAGESIZE);
    case 96: return sysconf(_SC_NPROCESSORS_CONF);
    case 97: return sysconf(_SC_NPROCESSORS_ONLN);
    case 98: return sysconf(_SC_PHYS_PAGES);
    case 99: return sysconf(_SC_AVPHYS_PAGES);
    default: return -1;
  }
}

/* bionic's pthread_mutex_t has 40 bytes; glibc's arm64 initialiser would clear 48. */
EXPORT int SHIM(pthread_mutex_init)(pthread_mutex_t* mutex, const pthread_mutexattr_t* attributes) {
  pthread_mutex_t local;
  const int status = pthread_mutex_init(&local, attributes);
  memcpy(mutex, &local, 40);
  return status;
}

#include "versions.h"
