/* Runs the app's library as the app does: maps program and index inside the APK, describes pictures, searches.
 *
 *   runner LIBRARY APK PROGRAM_OFFSET PROGRAM_BYTES INDEX_OFFSET INDEX_BYTES K RUNS [WIDTH HEIGHT RGBX_FILE]...
 *   runner LIBRARY ops
 *
 * Prints one JSON object a line: the info, then a result per picture, then memory. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* bionic keeps values in fixed slots after the thread pointer; glibc gives this variable that space. */
__thread char thread_slots[128] __attribute__((aligned(16))) = {1};

typedef struct pv_file {
  int fd;
  int64_t offset, length;
} pv_file;

static void* library;

static void* find(const char* name) {
  void* function = dlsym(library, name);
  if (!function) {
    fprintf(stderr, "runner: %s\n", dlerror());
    exit(3);
  }
  return function;
}

static void print_operators(void) {
  size_t (*names)(char*, size_t) = (size_t(*)(char*, size_t))find("pv_operator_names");
  char* text = malloc(1 << 20);
  names(text, 1 << 20);
  fputs(text, stdout);
}

static uint8_t* read_file(const char* path, size_t bytes) {
  FILE* file = fopen(path, "rb");
  uint8_t* data = malloc(bytes);
  if (!file || fread(data, 1, bytes, file) != bytes) {
    fprintf(stderr, "runner: cannot read %s\n", path);
    exit(3);
  }
  fclose(file);
  return data;
}

static void print_memory(void) {
  FILE* status = fopen("/proc/self/status", "r");
  char line[256];
  long peak = 0, anonymous = 0, mapped = 0;
  while (status && fgets(line, sizeof line, status)) {
    sscanf(line, "VmHWM: %ld", &peak);
    sscanf(line, "RssAnon: %ld", &anonymous);
    sscanf(line, "RssFile: %ld", &mapped);
  }
  if (status) fclose(status);
  printf("{\"peak_kb\":%ld,\"anonymous_kb\":%ld,\"file_kb\":%ld}\n", peak, anonymous, mapped);
}

static int describe_picture(void* recognizer, int32_t dim, int k, int runs, char** picture) {
  int (*describe)(void*, const uint8_t*, int, int, int, float*, int64_t*, char*) =
      (int (*)(void*, const uint8_t*, int, int, int, float*, int64_t*, char*))find("pv_describe");
  int (*recognize)(const void*, const float*, int, int32_t*, float*) =
      (int (*)(const void*, const float*, int, int32_t*, float*))find("pv_recognize");
  const int width = atoi(picture[0]), height = atoi(picture[1]);
  uint8_t* pixels = read_file(picture[2], (size_t)width * height * 4);
  float* descriptor = malloc(sizeof(float) * (size_t)dim);
  int32_t* rows = malloc(sizeof(int32_t) * (size_t)k);
  float* cosines = malloc(sizeof(float) * (size_t)k);
  char error[256] = "";
  int64_t nanos[2] = {0, 0}, best[2] = {INT64_MAX, INT64_MAX};
  for (int run = 0; run < runs; run++) {
    if (describe(recognizer, pixels, width, height, 1, descriptor, nanos, error)) {
      fprintf(stderr, "runner: %s\n", error);
      return 1;
    }
    for (int i = 0; i < 2; i++) best[i] = nanos[i] < best[i] ? nanos[i] : best[i];
  }
  const int found = recognize(recognizer, descriptor, k, rows, cosines);
  printf("{\"descriptor\":[");
  for (int32_t i = 0; i < dim; i++) printf("%s%.9g", i ? "," : "", descriptor[i]);
  printf("],\"rows\":[");
  for (int i = 0; i < found; i++) printf("%s%d", i ? "," : "", rows[i]);
  printf("],\"cosines\":[");
  for (int i = 0; i < found; i++) printf("%s%.9g", i ? "," : "", cosines[i]);
  printf("],\"preprocess_ms\":%.3f,\"inference_ms\":%.3f}\n", best[0] / 1e6, best[1] / 1e6);
  free(pixels);
  free(descriptor);
  free(rows);
  free(cosines);
  return 0;
}

int main(int count, char** args) {
  volatile char* slots = thread_slots;
  (void)slots[0];
  library = dlopen(args[1], RTLD_NOW);
  if (!library) {
    fprintf(stderr, "runner: %s\n", dlerror());
    return 3;
  }
  if (count == 3 && !strcmp(args[2], "ops")) {
    print_operators();
    return 0;
  }
  const int apk = open(args[2], O_RDONLY);
  const pv_file program = {apk, atoll(args[3]), atoll(args[4])}, index = {apk, atoll(args[5]), atoll(args[6])};
  char error[256] = "";
  void* (*open_both)(const pv_file*, const pv_file*, char*) =
      (void* (*)(const pv_file*, const pv_file*, char*))find("pv_open");
  void* recognizer = open_both(&program, &index, error);
  if (!recognizer) {
    fprintf(stderr, "runner: %s\n", error);
    return 1;
  }
  close(apk);
  char info[1024];
  ((size_t(*)(const void*, char*, size_t))find("pv_info_json"))(recognizer, info, sizeof info);
  puts(info);
  const int32_t dim = ((int32_t(*)(const void*))find("pv_dim"))(recognizer);
  for (int i = 9; i + 2 < count; i += 3) {
    if (describe_picture(recognizer, dim, atoi(args[7]), atoi(args[8]), args + i)) return 1;
  }
  print_memory();
  ((void (*)(void*))find("pv_close"))(recognizer);
  return 0;
}
