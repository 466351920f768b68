// org.pocketvlad.demo.recognizer.NativeRecognizer: every function takes the handle nativeOpen returned.
#include <cmath>
#include <vector>

#include "jni_table.h"
#include "recognizer.h"

#define JNI(result, name) extern "C" PV_API result Java_org_pocketvlad_demo_recognizer_NativeRecognizer_##name

static pv_recognizer* from(int64_t handle) { return reinterpret_cast<pv_recognizer*>(handle); }

static void raise(JNIEnv* env, const char* message) {
  jclass type = env->FindClass("java/lang/IllegalStateException");
  if (type) env->ThrowNew(type, message);  // without it, its own failure is pending
}

static jarray bytes(JNIEnv* env, const void* data, uint32_t size) {
  jarray array = env->NewByteArray(static_cast<int32_t>(size));
  if (array) env->SetByteArrayRegion(array, 0, static_cast<int32_t>(size), static_cast<const int8_t*>(data));
  return array;
}

// One code point of UTF-8 text at *i, which moves on; U+FFFD for a byte that starts none.
static uint32_t next_code_point(const uint8_t* text, uint32_t bytes, uint32_t* i) {
  const uint8_t first = text[(*i)++];
  if (first < 0x80) return first;
  const uint32_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
  if (first < 0xc2 || first > 0xf4 || *i + more > bytes) return 0xfffd;
  uint32_t point = first & (0x3fu >> more);
  for (uint32_t k = 0; k < more; k++) {
    if ((text[*i + k] & 0xc0) != 0x80) return 0xfffd;
    point = point << 6 | (text[*i + k] & 0x3fu);
  }
  *i += more;
  return point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ? 0xfffd : point;
}

// UTF-8 -> a Java string (JNI's own conversion takes a modified UTF-8 only).
static jstring string(JNIEnv* env, const char* text, uint32_t bytes) {
  std::vector<uint16_t> utf16;
  utf16.reserve(bytes + 1);
  for (uint32_t i = 0; i < bytes;) {
    const uint32_t point = next_code_point(reinterpret_cast<const uint8_t*>(text), bytes, &i);
    if (point >= 0x10000) {
      utf16.push_back(static_cast<uint16_t>(0xd7c0 + (point >> 10)));
      utf16.push_back(static_cast<uint16_t>(0xdc00 | (point & 0x3ff)));
    } else {
      utf16.push_back(static_cast<uint16_t>(point));
    }
  }
  return env->NewString(utf16.data(), static_cast<int32_t>(utf16.size()));
}

static bool is_open(JNIEnv* env, int64_t handle) {
  if (!handle) raise(env, "The recogniser is closed");
  return handle != 0;
}

// False, with an exception pending, when the indices have no such row.
static bool record(JNIEnv* env, int64_t handle, int32_t row, pv_record* out) {
  if (!is_open(env, handle)) return false;
  if (pv_row(from(handle), row, out)) return true;
  raise(env, "The index has no such row");
  return false;
}

static jarray floats(JNIEnv* env, const std::vector<float>& values, int32_t count) {
  jarray array = env->NewFloatArray(count);
  if (array) env->SetFloatArrayRegion(array, 0, count, values.data());
  return array;
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

// fd -1: no added index any more.
JNI(void, nativeSetAdded)(JNIEnv* env, jclass, int64_t handle, int32_t fd, int64_t offset, int64_t length) {
  if (!is_open(env, handle)) return;
  const pv_file index{fd, offset, length};
  char error[PV_ERROR_TEXT];
  if (pv_set_added(from(handle), fd < 0 ? nullptr : &index, error)) raise(env, error);
}

// A descriptor of what `describe` fills it from, with its times; null with an exception pending.
template <typename Describe>
static jarray described(JNIEnv* env, int64_t handle, jarray nanos, Describe describe) {
  std::vector<float> descriptor(static_cast<size_t>(pv_dim(from(handle))));
  int64_t times[2];
  char error[PV_ERROR_TEXT];
  if (describe(descriptor.data(), times, error)) {
    raise(env, error);
    return nullptr;
  }
  env->SetLongArrayRegion(nanos, 0, 2, times);
  return floats(env, descriptor, static_cast<int32_t>(descriptor.size()));
}

// rgba: a direct buffer, 4 bytes a pixel, row by row. nanos [2]: preprocessing, inference.
JNI(jarray, nativeDescribe)
(JNIEnv* env, jclass, int64_t handle, jobject rgba, int32_t width, int32_t height, int32_t orientation, jarray nanos) {
  if (!is_open(env, handle)) return nullptr;
  const auto* pixels = static_cast<const uint8_t*>(env->GetDirectBufferAddress(rgba));
  if (!pixels || width < 1 || height < 1 ||
      env->GetDirectBufferCapacity(rgba) / 4 < static_cast<int64_t>(width) * height) {
    raise(env, "The photo has fewer pixels than its size says");
    return nullptr;
  }
  return described(env, handle, nanos, [=](float* descriptor, int64_t* times, char* error) {
    return pv_describe(from(handle), pixels, width, height, orientation, descriptor, times, error);
  });
}

// y, u, v: the planes of a YUV_420_888 image, direct buffers; u and v share their strides, y has no gaps in a row.
JNI(jarray, nativeDescribeYuv)
(JNIEnv* env, jclass, int64_t handle, jobject y, jobject u, jobject v, int32_t y_row_stride, int32_t uv_row_stride,
 int32_t uv_pixel_stride, int32_t width, int32_t height, int32_t orientation, jarray nanos) {
  if (!is_open(env, handle)) return nullptr;
  const jobject buffers[3] = {y, u, v};
  const uint8_t* planes[3];
  size_t sizes[3];
  for (int i = 0; i < 3; i++) {
    planes[i] = static_cast<const uint8_t*>(env->GetDirectBufferAddress(buffers[i]));
    sizes[i] = planes[i] ? static_cast<size_t>(env->GetDirectBufferCapacity(buffers[i])) : 0;
  }
  const auto size = [](int32_t stride) { return static_cast<size_t>(stride < 0 ? 0 : stride); };
  const pv_yuv frame{planes[0], planes[1], planes[2], sizes[0], sizes[1], sizes[2], size(y_row_stride),
                     size(uv_row_stride), size(uv_row_stride), 1, size(uv_pixel_stride), size(uv_pixel_stride),
                     width, height};
  return described(env, handle, nanos, [&](float* descriptor, int64_t* times, char* error) {
    return pv_describe_yuv(from(handle), &frame, orientation, descriptor, times, error);
  });
}

// rows int [k] is filled; returns the cosines, best first, as many as were found. nanos [1]: the search.
JNI(jarray, nativeSearch)
(JNIEnv* env, jclass, int64_t handle, jarray descriptor, int32_t k, jarray rows, jarray nanos) {
  if (!is_open(env, handle)) return nullptr;
  const int32_t dim = pv_dim(from(handle));
  if (k < 1 || env->GetArrayLength(descriptor) != dim || env->GetArrayLength(rows) < k) {
    raise(env, "The descriptor does not fit the index");
    return nullptr;
  }
  std::vector<float> query(static_cast<size_t>(dim)), cosines(static_cast<size_t>(k));
  std::vector<int32_t> found(static_cast<size_t>(k));
  env->GetFloatArrayRegion(descriptor, 0, dim, query.data());
  int64_t time = 0;
  const int count = pv_recognize(from(handle), query.data(), k, found.data(), cosines.data(), &time);
  if (count < 0) {
    raise(env, "The search ran out of memory");
    return nullptr;
  }
  env->SetIntArrayRegion(rows, 0, count, found.data());
  env->SetLongArrayRegion(nanos, 0, 1, &time);
  return floats(env, cosines, count);
}

// Photos of the packaged index and of the added one.
JNI(int32_t, nativeRows)(JNIEnv* env, jclass, int64_t handle) {
  return is_open(env, handle) ? static_cast<int32_t>(pv_rows(from(handle))) : 0;
}

JNI(jarray, nativeDescriptor)(JNIEnv* env, jclass, int64_t handle, int32_t row) {
  pv_record r;
  if (!record(env, handle, row, &r)) return nullptr;
  std::vector<float> descriptor(static_cast<size_t>(pv_dim(from(handle))));
  pv_row_descriptor(from(handle), row, descriptor.data());
  return floats(env, descriptor, static_cast<int32_t>(descriptor.size()));
}

JNI(jstring, nativeName)(JNIEnv* env, jclass, int64_t handle, int32_t row) {
  pv_record r;
  return record(env, handle, row, &r) ? string(env, r.name, r.name_bytes) : nullptr;
}

JNI(jstring, nativeLabel)(JNIEnv* env, jclass, int64_t handle, int32_t row) {
  pv_record r;
  return record(env, handle, row, &r) ? string(env, r.label, r.label_bytes) : nullptr;
}

// JPEG, or null.
JNI(jarray, nativeThumbnail)(JNIEnv* env, jclass, int64_t handle, int32_t row) {
  pv_record r;
  return record(env, handle, row, &r) && r.thumbnail ? bytes(env, r.thumbnail, r.thumbnail_bytes) : nullptr;
}

// Latitude and longitude in degrees, or null.
JNI(jarray, nativePosition)(JNIEnv* env, jclass, int64_t handle, int32_t row) {
  pv_record r;
  if (!record(env, handle, row, &r) || std::isnan(r.latitude)) return nullptr;
  const double position[2] = {r.latitude, r.longitude};
  jarray array = env->NewDoubleArray(2);
  if (array) env->SetDoubleArrayRegion(array, 0, 2, position);
  return array;
}

JNI(uint8_t, nativeSetThreads)(JNIEnv*, jclass, int32_t count) { return pv_set_threads(count) == 0; }

JNI(jstring, nativeInfo)(JNIEnv* env, jclass, int64_t handle) {
  if (!is_open(env, handle)) return nullptr;
  std::vector<char> text(pv_info_json(from(handle), nullptr, 0) + 1);
  const size_t length = pv_info_json(from(handle), text.data(), text.size());
  return string(env, text.data(), static_cast<uint32_t>(length));
}
