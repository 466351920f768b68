/* Loads Android's libraries into a host JVM, each with its own symbols first, so that the JVM's C++ runtime
 * does not stand in for theirs. They lie beside this library. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

__attribute__((constructor)) static void load_libraries(void) {
  static const char* const names[] = {"libc.so",    "libm.so",         "libdl.so",
                                      "liblog.so",  "libandroid.so",   "libfbjni.so",
                                      "libexecutorch_jni.so"};
  Dl_info self;
  char path[4096];
  if (!dladdr((void*)load_libraries, &self)) return;
  const char* slash = strrchr(self.dli_fname, '/');
  const int folder = slash ? (int)(slash - self.dli_fname) : 0;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%.*s/%s", folder, self.dli_fname, names[i]);
    if (!dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND)) fprintf(stderr, "preload: %s\n", dlerror());
  }
}
