/* Runs the app's library as the app does: maps program and index inside the APK, describes pictures, searches.
 *
 *   runner LIBRARY APK PROGRAM_OFFSET PROGRAM_BYTES INDEX_OFFSET INDEX_BYTES ISA RUNS [WIDTH HEIGHT K RGBX_FILE]...
 *   runner LIBRARY names
 *
 * Prints one JSON object a line: the info, a result per picture (the times of each of RUNS), then memory in kB.
 * ISA: kernels to use, or `best`.
 * `names` prints the operators the runtime knows, an empty line, and its backends. Exit status 1: the library
 * refused something and said why on standard error; 3: the runner itself could not go on. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* bionic keeps values in fixed slots after the thread pointer; glibc gives this variable that space. */
__thread char thread_slots[128] __attribute__((aligned(16))) = {1};

enum { ERROR_TEXT = 256, NAMES_TEXT = 1 << 20 };

/* The library's C face (recognizer.h), found at run time. */
typedef struct pv_file {
  int fd;
  int64_t offset, length;
} pv_file;
static void* (*open_recognizer)(const pv_file*, const pv_file*, char*);
static void (*close_recognizer)(void*);
static int32_t (*dimension)(const void*);
static int (*describe)(void*, const uint8_t*, int, int, int, float*, int64_t*, char*);
static int (*recognize)(const void*, const float*, int, int32_t*, float*, int64_t*);
static size_t (*info_json)(const void*, char*, size_t);
static size_t (*operator_names)(char*, size_t);
static size_t (*backend_names)(char*, size_t);
static int (*select_isa)(const char*);

static void give_up(const char* text, const char* detail) {
  fprintf(stderr, "runner: %s %s\n", text, detail);
  exit(3);
}

static void load_library(const char* path) {
  void* library = dlopen(path, RTLD_NOW);
  if (!library) give_up("cannot load", dlerror());
  const struct {
    const char* name;
    void** function;
  } face[] = {{"pv_open", (void**)&open_recognizer},         {"pv_close", (void**)&close_recognizer},
              {"pv_dim", (void**)&dimension},                {"pv_describe", (void**)&describe},
              {"pv_recognize", (void**)&recognize},          {"pv_info_json", (void**)&info_json},
              {"pv_operator_names", (void**)&operator_names}, {"pv_backend_names", (void**)&backend_names},
              {"pv_select_isa", (void**)&select_isa}};
  for (size_t i = 0; i < sizeof face / sizeof *face; i++) {
    *face[i].function = dlsym(library, face[i].name);
    if (!*face[i].function) give_up("the library lacks", face[i].name);
  }
}

static void* allocate(size_t bytes) {
  void* memory = malloc(bytes);
  if (!memory) give_up("out of", "memory");
  return memory;
}

static void print_names(void) {
  char* text = allocate(NAMES_TEXT);
  operator_names(text, NAMES_TEXT);
  puts(text);
  backend_names(text, NAMES_TEXT);
  fputs(text, stdout);
  free(text);
}

static uint8_t* read_file(const char* path, size_t bytes) {
  FILE* file = fopen(path, "rb");
  uint8_t* data = allocate(bytes);
  if (!file || fread(data, 1, bytes, file) != bytes) give_up("cannot read", path);
  fclose(file);
  return data;
}

/* A line of /proc/self/status, kB. */
static long status_kb(const char* key) {
  FILE* status = fopen("/proc/self/status", "r");
  char line[256];
  long value = -1;
  while (status && value < 0 && fgets(line, sizeof line, status))
    if (!strncmp(line, key, strlen(key))) value = atol(line + strlen(key));
  if (status) fclose(status);
  return value;
}

/* JSON as Python reads it, which knows NaN and Infinity by these names. */
static void print_numbers(const char* key, const float* values, int count) {
  printf("\"%s\":[", key);
  for (int i = 0; i < count; i++) {
    const float v = values[i];
    if (i) putchar(',');
    if (v - v == 0) {
      printf("%.9g", v);
    } else {
      fputs(v != v ? "NaN" : v > 0 ? "Infinity" : "-Infinity", stdout);
    }
  }
  putchar(']');
}

/* picture: width, height, k, file of width * height * 4 bytes. */
static int answer(void* recognizer, int runs, char** picture) {
  const int width = atoi(picture[0]), height = atoi(picture[1]), k = atoi(picture[2]);
  const int32_t dim = dimension(recognizer);
  uint8_t* pixels = read_file(picture[3], (size_t)width * height * 4);
  float* descriptor = allocate(sizeof(float) * (size_t)dim);
  int32_t* rows = allocate(sizeof(int32_t) * (size_t)k);
  float* cosines = allocate(sizeof(float) * (size_t)k);
  char error[ERROR_TEXT] = "";
  int64_t* nanos = allocate(3 * sizeof(int64_t) * (size_t)runs);
  int found = 0;
  for (int run = 0; run < runs; run++) {
    if (describe(recognizer, pixels, width, height, 1, descriptor, nanos + 3 * run, error)) {
      fprintf(stderr, "runner: %s\n", error);
      return 1;
    }
    found = recognize(recognizer, descriptor, k, rows, cosines, nanos + 3 * run + 2);
  }
  putchar('{');
  print_numbers("descriptor", descriptor, dim);
  printf(",\"rows\":[");
  for (int i = 0; i < found; i++) printf("%s%d", i ? "," : "", rows[i]);
  fputs("],", stdout);
  print_numbers("cosines", cosines, found);
  const char* const stages[] = {"preprocess", "inference", "search"};
  for (int stage = 0; stage < 3; stage++) {
    printf(",\"%s_ms\":[", stages[stage]);
    for (int run = 0; run < runs; run++) printf("%s%.4f", run ? "," : "", nanos[3 * run + stage] / 1e6);
    putchar(']');
  }
  puts("}");
  free(nanos);
  free(pixels);
  free(descriptor);
  free(rows);
  free(cosines);
  return 0;
}

int main(int count, char** args) {
  volatile char* slots = thread_slots; /* keeps the variable */
  (void)slots[0];
  if (count < 3) give_up("too few", "arguments");
  load_library(args[1]);
  if (count == 3) {
    print_names();
    return 0;
  }
  if (count < 9 || (count - 9) % 4) give_up("wrong", "arguments");
  if (strcmp(args[7], "best") && select_isa(args[7])) give_up("this CPU has no kernels for", args[7]);
  const int apk = open(args[2], O_RDONLY);
  if (apk < 0) give_up("cannot open", args[2]);
  const pv_file program = {apk, atoll(args[3]), atoll(args[4])}, index = {apk, atoll(args[5]), atoll(args[6])};
  const long before = status_kb("VmRSS:"), before_anonymous = status_kb("RssAnon:");
  char error[ERROR_TEXT] = "", info[1024];
  void* recognizer = open_recognizer(&program, &index, error);
  if (!recognizer) {
    fprintf(stderr, "runner: %s\n", error);
    return 1;
  }
  close(apk);
  info_json(recognizer, info, sizeof info);
  puts(info);
  for (int i = 9; i < count; i += 4)
    if (answer(recognizer, atoi(args[8]), args + i)) return 1;
  printf("{\"before_kb\":%ld,\"peak_kb\":%ld,\"before_anonymous_kb\":%ld,\"anonymous_kb\":%ld,\"file_kb\":%ld}\n",
         before, status_kb("VmHWM:"), before_anonymous, status_kb("RssAnon:"), status_kb("RssFile:"));
  close_recognizer(recognizer);
  return 0;
}
