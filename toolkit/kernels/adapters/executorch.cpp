// The lookup ops for ExecuTorch: pocketvlad::lut_linear.out, lut_conv2d.out, vlad_pool.out, and those of
// attention.h and int8.h.
// Arguments are checked here and in the C core; packed bytes are read where the program keeps them.
//
// Plain C++17 without exceptions or RTTI. Define ET_USE_THREADPOOL where the runtime has a thread pool.
#include <cstdlib>
#include <cstring>
#include <optional>

#include <executorch/extension/kernel_util/make_boxed_from_unboxed_functor.h>
#include <executorch/runtime/kernel/kernel_includes.h>
#include <executorch/runtime/kernel/operator_registry.h>
#include <executorch/runtime/kernel/thread_parallel_interface.h>

#ifdef PV_THREADPOOL_OBJECT  // runtimes before 1.4 have no get_thread_count()
#include <executorch/extension/threadpool/threadpool.h>
#endif

#include "lut/attention.h"
#include "lut/int8.h"
#include "lut/lut.h"

namespace {

using executorch::aten::ArrayRef;
using executorch::aten::ScalarType;
using executorch::aten::SizesType;
using executorch::aten::Tensor;
using executorch::runtime::Error;
using executorch::runtime::KernelRuntimeContext;

using OptionalTensor = std::optional<Tensor>;
using IntList = ArrayRef<int64_t>;

// Temporary memory: the runtime's if it offers any, else the heap's.
class Scratch {
 public:
  Scratch(KernelRuntimeContext& ctx, size_t bytes) {
    auto result = ctx.allocate_temp(bytes ? bytes : 1);
    if (result.ok()) {
      data_ = result.get();
    } else {
      data_ = owned_ = std::malloc(bytes ? bytes : 1);
    }
  }
  ~Scratch() {
    std::free(owned_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  uint8_t* data() const {
    return static_cast<uint8_t*>(data_);
  }

 private:
  void* data_ = nullptr;
  void* owned_ = nullptr;
};

// Whether the runtime can run `parallel_for`; without ET_USE_THREADPOOL that is a plain loop.
bool has_threads() {
#ifdef PV_THREADPOOL_OBJECT
  return executorch::extension::threadpool::get_threadpool() != nullptr;  // none where it cannot tell the processor
#else
  return true;
#endif
}

// Calls `run(worker, begin, end)` for ranges of rows that start at multiples of `step`, one per thread, each with
// worker scratch of its own (from the heap: the runtime's temporary memory is not for several threads).
template <typename Run>
int parallel_rows(int32_t rows, int32_t step, size_t worker_bytes, const Run& run) {
  int failed = PV_OK;
  const auto body = [&](int64_t first, int64_t last) {
    void* worker = std::malloc(worker_bytes ? worker_bytes : 1);
    const int64_t end = last * step < rows ? last * step : rows;
    const int error =
        worker ? run(worker, static_cast<int32_t>(first * step), static_cast<int32_t>(end)) : PV_ERROR_MEMORY;
    std::free(worker);
    if (error) {
      __atomic_store_n(&failed, error, __ATOMIC_RELAXED);
    }
  };
  const int64_t steps = (static_cast<int64_t>(rows) + step - 1) / step;
  if (has_threads()) {
    executorch::extension::parallel_for(0, steps, 1, body);
  } else {
    body(0, steps);
  }
  return __atomic_load_n(&failed, __ATOMIC_RELAXED);
}

const void* data_or_null(const OptionalTensor& tensor) {
  return tensor.has_value() ? tensor.value().const_data_ptr() : nullptr;
}

bool is_float(const Tensor& tensor) {
  return tensor.scalar_type() == ScalarType::Float;
}

bool is_float_vector(const OptionalTensor& tensor, int64_t size) {
  return !tensor.has_value() || (is_float(tensor.value()) && tensor.value().numel() == size);
}

// What all ops check of a layer before its numbers become a pv_lut.
bool is_layer(
    const Tensor& packed, const Tensor& codebook, const OptionalTensor& row_scale, const OptionalTensor& bias,
    int64_t rows, int64_t cols, int64_t bits, int64_t layout) {
  return packed.scalar_type() == ScalarType::Byte && is_float(codebook) && bits >= 1 && bits <= 8 &&
      codebook.dim() == 2 && codebook.size(1) == (int64_t{1} << bits) && rows >= 1 && rows <= INT32_MAX && cols >= 1 &&
      cols <= PV_MAX_COLS && layout >= 0 && layout <= INT32_MAX && is_float_vector(row_scale, rows) && is_float_vector(bias, rows);
}

pv_lut layer(
    const Tensor& packed, const Tensor& codebook, const OptionalTensor& row_scale, const OptionalTensor& bias,
    int64_t rows, int64_t cols, int64_t bits, int64_t layout) {
  pv_lut lut{};
  lut.packed = packed.const_data_ptr<uint8_t>();
  lut.packed_bytes = packed.nbytes();
  lut.codebook = codebook.const_data_ptr<float>();
  lut.row_scale = static_cast<const float*>(data_or_null(row_scale));
  lut.bias = static_cast<const float*>(data_or_null(bias));
  lut.bits = static_cast<int32_t>(bits);
  lut.groups = static_cast<int32_t>(codebook.size(0));
  lut.rows = static_cast<int32_t>(rows);
  lut.cols = static_cast<int32_t>(cols);
  lut.layout = static_cast<int32_t>(layout);
  return lut;
}

bool resize(Tensor& out, ArrayRef<SizesType> sizes) {
  return is_float(out) && executorch::runtime::resize_tensor(out, sizes) == Error::Ok;
}

// The sizes of `x`, at most 8, but for the last one.
bool resize_like(Tensor& out, const Tensor& x, ssize_t last) {
  SizesType sizes[8];
  for (ssize_t d = 0; d < x.dim(); d++) {
    sizes[d] = x.size(d);
  }
  sizes[x.dim() - 1] = last;
  return resize(out, {sizes, static_cast<size_t>(x.dim())});
}

// Says what the C core refused and fails the kernel.
bool succeeded(KernelRuntimeContext& ctx, const char* op, int error) {
  if (!error) {
    return true;
  }
  ET_LOG(Error, "pocketvlad::%s: %s", op, pv_error_text(error));
  ctx.fail(Error::InvalidArgument);
  return false;
}

Tensor& lut_linear_out(
    KernelRuntimeContext& ctx, const Tensor& x, const Tensor& packed, const OptionalTensor& row_offsets,
    const Tensor& codebook, const OptionalTensor& row_scale, const OptionalTensor& bias, int64_t bits,
    int64_t layout, int64_t block, int64_t in_features, int64_t out_features, bool fast, int64_t activation,
    Tensor& out) {
  ET_KERNEL_CHECK(
      ctx, is_layer(packed, codebook, row_scale, bias, out_features, in_features, bits, layout), InvalidArgument, out);
  ET_KERNEL_CHECK(
      ctx,
      !row_offsets.has_value() ||
          (row_offsets.value().scalar_type() == ScalarType::Int && row_offsets.value().numel() == out_features + 1),
      InvalidArgument, out);
  ET_KERNEL_CHECK(
      ctx, is_float(x) && x.dim() >= 1 && x.dim() <= 8 && x.size(x.dim() - 1) == in_features, InvalidArgument, out);
  pv_lut lut = layer(packed, codebook, row_scale, bias, out_features, in_features, bits, layout);
  lut.block = block >= 0 && block <= PV_TILE ? static_cast<int32_t>(block) : -1;
  lut.row_offsets = static_cast<const int32_t*>(data_or_null(row_offsets));
  lut.activation = static_cast<int32_t>(activation);
  const int64_t batch = x.numel() / in_features;  // before `out` changes its size, should it be `x`
  ET_KERNEL_CHECK(ctx, resize_like(out, x, lut.rows), InvalidArgument, out);

  const Scratch scratch(ctx, pv_lut_linear_scratch_bytes(&lut, batch, fast));
  ET_KERNEL_CHECK(ctx, scratch.data(), MemoryAllocationFailed, out);
  int error = pv_lut_linear_prepare(&lut, x.const_data_ptr<float>(), batch, fast, scratch.data());
  float* y = out.mutable_data_ptr<float>();
  if (!error) {
    error = parallel_rows(
        lut.rows, 32, pv_lut_linear_worker_bytes(&lut, batch, fast), [&](void* worker, int32_t begin, int32_t end) {
          return pv_lut_linear_rows(&lut, batch, fast, scratch.data(), worker, y, begin, end);
        });
  }
  succeeded(ctx, "lut_linear", error);
  return out;
}

// Lists of length 2 (vertical, horizontal) as C; false if one is longer, shorter or out of int32.
bool pair(const IntList& values, int32_t out[2]) {
  for (size_t i = 0; i < values.size() && i < 2; i++) {
    if (values[i] < 0 || values[i] > 4096) {
      return false;
    }
    out[i] = static_cast<int32_t>(values[i]);
  }
  return values.size() == 2;
}

// Kernel, stride and whether the last window may be cut off, or nothing; false if it is neither.
bool max_pool(const IntList& values, pv_conv& conv) {
  for (size_t i = 0; i < values.size(); i++) {
    if (values[i] < 0 || values[i] > 4096) {
      return false;
    }
  }
  if (values.size() == 3) {
    conv.pool = static_cast<int32_t>(values[0]);
    conv.pool_stride = static_cast<int32_t>(values[1]);
    conv.pool_ceil = static_cast<int32_t>(values[2]);
  }
  return values.empty() || values.size() == 3;
}

Tensor& lut_conv2d_out(
    KernelRuntimeContext& ctx, const Tensor& x, const Tensor& packed, const Tensor& codebook,
    const OptionalTensor& row_scale, const OptionalTensor& bias, int64_t bits, int64_t layout, int64_t out_channels,
    IntList kernel_size, IntList stride, IntList padding, IntList dilation, int64_t groups, bool fast,
    int64_t activation, IntList pool, Tensor& out) {
  ET_KERNEL_CHECK(ctx, is_float(x) && x.dim() == 4 && x.numel() > 0 && groups >= 1 && groups <= x.size(1), InvalidArgument, out);
  pv_conv conv{};
  conv.channels = x.size(1);
  conv.height = x.size(2);
  conv.width = x.size(3);
  conv.groups = static_cast<int32_t>(groups);
  ET_KERNEL_CHECK(
      ctx,
      pair(kernel_size, conv.kernel) && pair(stride, conv.stride) && pair(padding, conv.padding) &&
          pair(dilation, conv.dilation) && max_pool(pool, conv),
      InvalidArgument, out);
  const int64_t cols = x.size(1) / groups * conv.kernel[0] * conv.kernel[1];
  ET_KERNEL_CHECK(
      ctx, is_layer(packed, codebook, row_scale, bias, out_channels, cols, bits, layout), InvalidArgument, out);
  pv_lut lut = layer(packed, codebook, row_scale, bias, out_channels, cols, bits, layout);
  lut.activation = static_cast<int32_t>(activation);
  if (!succeeded(ctx, "lut_conv2d", pv_conv_check(&lut, &conv))) {
    return out;
  }
  int32_t size[2];
  pv_conv_out_size(&conv, size);
  const SizesType sizes[4] = {static_cast<SizesType>(x.size(0)), lut.rows, size[0], size[1]};
  ET_KERNEL_CHECK(ctx, resize(out, {sizes, 4}), InvalidArgument, out);

  const Scratch scratch(ctx, pv_lut_conv2d_scratch_bytes(&lut, &conv, fast));
  ET_KERNEL_CHECK(ctx, scratch.data(), MemoryAllocationFailed, out);
  const size_t image = static_cast<size_t>(x.numel() / x.size(0)), result = static_cast<size_t>(out.numel() / x.size(0));
  for (size_t n = 0; n < static_cast<size_t>(x.size(0)); n++) {
    int error = pv_lut_conv2d_prepare(&lut, &conv, x.const_data_ptr<float>() + n * image, fast, scratch.data());
    float* y = out.mutable_data_ptr<float>() + n * result;
    if (!error) {
      error = parallel_rows(
          lut.rows, PV_CONV_STEP, pv_lut_conv2d_worker_bytes(&lut, &conv, fast),
          [&](void* worker, int32_t begin, int32_t end) {
            return pv_lut_conv2d_rows(&lut, &conv, fast, scratch.data(), worker, y, begin, end);
          });
    }
    if (!succeeded(ctx, "lut_conv2d", error)) {
      return out;
    }
  }
  return out;
}

Tensor& vlad_pool_out(
    KernelRuntimeContext& ctx, const Tensor& x, const Tensor& packed, const Tensor& codebook,
    const OptionalTensor& row_scale, const OptionalTensor& bias, int64_t bits, int64_t layout, int64_t clusters,
    const Tensor& centroids, const Tensor& centroid_scale, bool fast, Tensor& out) {
  ET_KERNEL_CHECK(ctx, is_float(x) && x.dim() == 4 && x.numel() > 0, InvalidArgument, out);
  const int64_t dims = x.size(1), locations = static_cast<int64_t>(x.size(2)) * x.size(3);
  ET_KERNEL_CHECK(ctx, locations <= INT32_MAX, InvalidArgument, out);
  ET_KERNEL_CHECK(
      ctx, is_layer(packed, codebook, row_scale, bias, clusters, dims, bits, layout), InvalidArgument, out);
  ET_KERNEL_CHECK(
      ctx, centroids.scalar_type() == ScalarType::Char && centroids.numel() == clusters * dims, InvalidArgument, out);
  ET_KERNEL_CHECK(ctx, is_float(centroid_scale) && centroid_scale.numel() == clusters, InvalidArgument, out);
  pv_lut lut = layer(packed, codebook, row_scale, bias, clusters, dims, bits, layout);
  pv_vlad vlad{};
  vlad.centroids = centroids.const_data_ptr<int8_t>();
  vlad.centroid_scale = centroid_scale.const_data_ptr<float>();
  vlad.clusters = lut.rows;
  vlad.dims = lut.cols;
  vlad.locations = static_cast<int32_t>(locations);
  if (!succeeded(ctx, "vlad_pool", pv_vlad_check(&lut, &vlad))) {
    return out;
  }
  const SizesType sizes[2] = {static_cast<SizesType>(x.size(0)), static_cast<SizesType>(clusters * dims)};
  ET_KERNEL_CHECK(ctx, resize(out, {sizes, 2}), InvalidArgument, out);

  const Scratch scratch(ctx, pv_vlad_pool_scratch_bytes(&lut, &vlad, fast));
  ET_KERNEL_CHECK(ctx, scratch.data(), MemoryAllocationFailed, out);
  const size_t image = static_cast<size_t>(x.numel() / x.size(0)), result = static_cast<size_t>(clusters * dims);
  for (size_t n = 0; n < static_cast<size_t>(x.size(0)); n++) {
    const float* from = x.const_data_ptr<float>() + n * image;
    float* y = out.mutable_data_ptr<float>() + n * result;
    if (!succeeded(ctx, "vlad_pool", pv_vlad_pool(&lut, &vlad, from, fast, scratch.data(), y))) {
      return out;
    }
  }
  return out;
}

#include "attention.h"
#include "int8.h"

constexpr const char linear_name[] = "pocketvlad::lut_linear.out";
constexpr const char conv2d_name[] = "pocketvlad::lut_conv2d.out";
constexpr const char vlad_name[] = "pocketvlad::vlad_pool.out";

// Registering an op twice aborts the process: if another library of ours came first, its kernels stay.
bool register_ops() {
  using executorch::extension::make_boxed_kernel;
  static const executorch::runtime::Kernel kernels[] = {
      make_boxed_kernel(linear_name, EXECUTORCH_FN(lut_linear_out, linear_name)),
      make_boxed_kernel(conv2d_name, EXECUTORCH_FN(lut_conv2d_out, conv2d_name)),
      make_boxed_kernel(vlad_name, EXECUTORCH_FN(vlad_pool_out, vlad_name)),
      make_boxed_kernel(attention_name, EXECUTORCH_FN(attention_out, attention_name)),
      make_boxed_kernel(layer_norm_name, EXECUTORCH_FN(layer_norm_out, layer_norm_name)),
      make_boxed_kernel(from_float_name, EXECUTORCH_FN(int8_from_float_out, from_float_name)),
      make_boxed_kernel(to_float_name, EXECUTORCH_FN(int8_to_float_out, to_float_name)),
      make_boxed_kernel(int8_conv2d_name, EXECUTORCH_FN(int8_conv2d_out, int8_conv2d_name)),
      make_boxed_kernel(int8_add_name, EXECUTORCH_FN(int8_add_out, int8_add_name)),
      make_boxed_kernel(int8_max_pool_name, EXECUTORCH_FN(int8_max_pool_out, int8_max_pool_name)),
  };
  for (const auto& kernel : executorch::runtime::get_registered_kernels()) {
    if (!std::strcmp(kernel.name_, linear_name)) {
      return true;
    }
  }
  return executorch::runtime::register_kernels({kernels, sizeof kernels / sizeof kernels[0]}) == Error::Ok;
}

} // namespace

// Read by the Python loader and the JNI library: 1 once the runtime knows the ops.
extern "C" {
extern const int pv_ops_registered;
const int pv_ops_registered = register_ops();
}
