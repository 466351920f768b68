// org.pocketvlad.demo.NativeRecognizer: every function takes the handle nativeOpen returned.
#include <cmath>
#include <cstdio>
#include <memory>
#include <vector>

#include "jni_table.h"
#include "recognizer.h"

#define JNI(result, name) extern "C" PV_API result Java_org_pocketvlad_demo_NativeRecognizer_##name

static pv_recognizer* from(int64_t handle) { return reinterpret_cast<pv_recognizer*>(handle); }

static void raise(JNIEnv* env, const char* message) {
  env->ThrowNew(env->FindClass("java/lang/IllegalStateException"), message);
}

static jarray bytes(JNIEnv* env, const void* data, uint32_t size) {
  jarray array = env->NewByteArray(static_cast<int32_t>(size));
  if (array) env->SetByteArrayRegion(array, 0, static_cast<int32_t>(size), static_cast<const int8_t*>(data));
  return array;
}

// False, with an exception pending, when the index has no such row.
static bool record(JNIEnv* env, int64_t handle, int32_t row, pv_record* out) {
  const pv_index* places = pv_places(from(handle));
  if (row < 0 || row >= places->count) {
    raise(env, "The index has no such row");
    return false;
  }
  pv_index_record(places, row, out);
  return true;
}

extern "C" PV_API int32_t JNI_OnLoad(void*, void*) { return JNI_VERSION_1_6; }
extern "C" PV_API void JNI_OnUnload(void*, void*) {}

JNI(int64_t, nativeOpen)
(JNIEnv* env, jclass, int32_t program_fd, int64_t program_offset, int64_t program_length, int32_t index_fd,
 int64_t index_offset, int64_t index_length) {
  const pv_file program{program_fd, program_offset, program_length}, index{index_fd, index_offset, index_length};
  char error[PV_ERROR_TEXT];
  pv_recognizer* recognizer = pv_open(&program, &index, error);
  if (!recognizer) raise(env, error);
  return reinterpret_cast<int64_t>(recognizer);
}

JNI(void, nativeClose)(JNIEnv*, jclass, int64_t handle) { pv_close(from(handle)); }

// argb: Bitmap.getPixels, one int a pixel. nanos [2]: preprocessing, inference.
JNI(jarray, nativeDescribe)
(JNIEnv* env, jclass, int64_t handle, jarray argb, int32_t width, int32_t height, int32_t orientation, jarray nanos) {
  const int64_t count = static_cast<int64_t>(width) * height;
  if (width < 1 || height < 1 || env->GetArrayLength(argb) < count) {
    raise(env, "The photo has fewer pixels than its size says");
    return nullptr;
  }
  std::vector<int32_t> pixels(static_cast<size_t>(count));
  env->GetIntArrayRegion(argb, 0, static_cast<int32_t>(count), pixels.data());
  for (int32_t& pixel : pixels) {  // 0xAARRGGBB -> bytes R, G, B, A
    const uint32_t p = static_cast<uint32_t>(pixel);
    pixel = static_cast<int32_t>((p & 0xff00ff00u) | (p >> 16 & 0xffu) | (p & 0xffu) << 16);
  }
  std::vector<float> descriptor(static_cast<size_t>(pv_dim(from(handle))));
  int64_t times[2];
  char error[PV_ERROR_TEXT];
  if (pv_describe(from(handle), reinterpret_cast<const uint8_t*>(pixels.data()), width, height, orientation,
                  descriptor.data(), times, error)) {
    raise(env, error);
    return nullptr;
  }
  env->SetLongArrayRegion(nanos, 0, 2, times);
  jarray result = env->NewFloatArray(static_cast<int32_t>(descriptor.size()));
  if (result) env->SetFloatArrayRegion(result, 0, static_cast<int32_t>(descriptor.size()), descriptor.data());
  return result;
}

// rows int [k] is filled; returns the cosines, best first, as many as were found.
JNI(jarray, nativeSearch)(JNIEnv* env, jclass, int64_t handle, jarray descriptor, int32_t k, jarray rows) {
  const int32_t dim = pv_dim(from(handle));
  if (k < 1 || env->GetArrayLength(descriptor) != dim || env->GetArrayLength(rows) < k) {
    raise(env, "The descriptor does not fit the index");
    return nullptr;
  }
  std::vector<float> query(static_cast<size_t>(dim)), cosines(static_cast<size_t>(k));
  std::vector<int32_t> found(static_cast<size_t>(k));
  env->GetFloatArrayRegion(descriptor, 0, dim, query.data());
  const int count = pv_recognize(from(handle), query.data(), k, found.data(), cosines.data());
  if (count < 0) {
    raise(env, "The search ran out of memory");
    return nullptr;
  }
  env->SetIntArrayRegion(rows, 0, count, found.data());
  jarray result = env->NewFloatArray(count);
  if (result) env->SetFloatArrayRegion(result, 0, count, cosines.data());
  return result;
}

JNI(jarray, nativeName)(JNIEnv* env, jclass, int64_t handle, int32_t row) {
  pv_record r;
  return record(env, handle, row, &r) ? bytes(env, r.name, r.name_bytes) : nullptr;
}

JNI(jarray, nativeLabel)(JNIEnv* env, jclass, int64_t handle, int32_t row) {
  pv_record r;
  return record(env, handle, row, &r) ? bytes(env, r.label, r.label_bytes) : nullptr;
}

JNI(jarray, nativeThumbnail)(JNIEnv* env, jclass, int64_t handle, int32_t row) {
  pv_record r;
  return record(env, handle, row, &r) && r.thumbnail ? bytes(env, r.thumbnail, r.thumbnail_bytes) : nullptr;
}

JNI(jarray, nativePosition)(JNIEnv* env, jclass, int64_t handle, int32_t row) {
  pv_record r;
  if (!record(env, handle, row, &r) || std::isnan(r.latitude)) return nullptr;
  const double position[2] = {r.latitude, r.longitude};
  jarray array = env->NewDoubleArray(2);
  if (array) env->SetDoubleArrayRegion(array, 0, 2, position);
  return array;
}

JNI(jstring, nativeInfo)(JNIEnv* env, jclass, int64_t handle) {
  std::vector<char> text(pv_info_json(from(handle), nullptr, 0) + 1);
  pv_info_json(from(handle), text.data(), text.size());
  return env->NewStringUTF(text.data());
}
