/* Android's liblog: to standard error. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int __android_log_vprint(int priority, const char* tag, const char* format, va_list args) {
  fprintf(stderr, "[%d %s] ", priority, tag ? tag : "");
  vfprintf(stderr, format, args);
  return fputc('\n', stderr);
}

int __android_log_write(int priority, const char* tag, const char* text) {
  return fprintf(stderr, "[%d %s] %s\n", priority, tag ? tag : "", text);
}

int __android_log_print(int priority, const char* tag, const char* format, ...) {
  va_list args;
  va_start(args, format);
  const int n = __android_log_vprint(priority, tag, format, args);
  va_end(args);
  return n;
}

void __android_log_assert(const char* condition, const char* tag, const char* format, ...) {
  fprintf(stderr, "[assert %s] %s %s\n", tag ? tag : "", condition ? condition : "", format ? format : "");
  abort();
}
