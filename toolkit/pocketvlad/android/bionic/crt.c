/* What the NDK's crtbegin_so.o and crtend_so.o add to a shared library: the handle that atexit uses, its
 * call when the library is closed, and the note that names the Android API level. */
__attribute__((visibility("hidden"))) void* __dso_handle = &__dso_handle;

extern void __cxa_finalize(void*);

__attribute__((destructor)) static void on_close(void) { __cxa_finalize(&__dso_handle); }

__attribute__((section(".note.android.ident"), used, aligned(4))) static const struct {
  int name_size, description_size, type;
  char name[8];
  int api_level;
  char ndk_version[64], ndk_build[64];
} android_note = {8, 132, 1, "Android", 26, "none", "none"};
