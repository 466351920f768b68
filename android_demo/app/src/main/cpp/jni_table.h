// The part of the Java Native Interface this library uses, so that it builds without a JDK. The slots are
// those of the JNI specification's function table, which never change.
#pragma once

#include <stdint.h>

typedef void* jobject;
typedef jobject jclass;
typedef jobject jstring;
typedef jobject jarray;

struct JniTable {
  void* slots[235];
};
struct JNIEnv {
  const JniTable* table;

  jclass FindClass(const char* name) { return call<6, jclass>(name); }
  int32_t ThrowNew(jclass type, const char* message) { return call<14, int32_t>(type, message); }
  jstring NewString(const uint16_t* utf16, int32_t length) { return call<163, jstring>(utf16, length); }
  int32_t GetArrayLength(jarray array) { return call<171, int32_t>(array); }
  jarray NewByteArray(int32_t length) { return call<176, jarray>(length); }
  jarray NewFloatArray(int32_t length) { return call<181, jarray>(length); }
  jarray NewDoubleArray(int32_t length) { return call<182, jarray>(length); }
  void GetFloatArrayRegion(jarray a, int32_t start, int32_t n, float* out) { call<205, void>(a, start, n, out); }
  void SetByteArrayRegion(jarray a, int32_t start, int32_t n, const int8_t* v) { call<208, void>(a, start, n, v); }
  void SetIntArrayRegion(jarray a, int32_t start, int32_t n, const int32_t* v) { call<211, void>(a, start, n, v); }
  void SetLongArrayRegion(jarray a, int32_t start, int32_t n, const int64_t* v) { call<212, void>(a, start, n, v); }
  void SetFloatArrayRegion(jarray a, int32_t start, int32_t n, const float* v) { call<213, void>(a, start, n, v); }
  void SetDoubleArrayRegion(jarray a, int32_t start, int32_t n, const double* v) { call<214, void>(a, start, n, v); }
  void* GetDirectBufferAddress(jobject buffer) { return call<230, void*>(buffer); }
  int64_t GetDirectBufferCapacity(jobject buffer) { return call<231, int64_t>(buffer); }

 private:
  template <int slot, typename R, typename... Args>
  R call(Args... args) {
    return reinterpret_cast<R (*)(JNIEnv*, Args...)>(table->slots[slot])(this, args...);
  }
};

constexpr int32_t JNI_VERSION_1_6 = 0x00010006;
