// The lookup ops for torch on the CPU. The schemas are those of pocketvlad/lut/ops.py, which must be imported first;
// the .out overloads keep the bodies given there.
#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "lut/lut.h"

namespace {

using at::Tensor;
using OptionalTensor = std::optional<Tensor>;

Tensor bytes(size_t count) {
  return at::empty({static_cast<int64_t>(count)}, at::kByte);
}

void check(int error) {
  TORCH_CHECK_VALUE(error == PV_OK, "pocketvlad: ", pv_error_text(error));
}

// Tensors a pv_lut points into; contiguous copies where the caller's are not.
struct Layer {
  Tensor packed, codebook;
  OptionalTensor row_offsets, row_scale, bias;
  pv_lut lut{};
};

template <typename T>
const T* pointer(OptionalTensor& tensor, at::ScalarType dtype, int64_t size, const char* name) {
  if (!tensor.has_value()) {
    return nullptr;
  }
  TORCH_CHECK_VALUE(
      tensor->scalar_type() == dtype && tensor->numel() == size, "pocketvlad: ", name, " has a wrong dtype or size");
  tensor = tensor->contiguous();
  return tensor->const_data_ptr<T>();
}

Layer layer(
    const Tensor& packed, const OptionalTensor& row_offsets, const Tensor& codebook, const OptionalTensor& row_scale,
    const OptionalTensor& bias, int64_t bits, int64_t rows, int64_t cols, int64_t activation) {
  TORCH_CHECK_VALUE(bits >= 1 && bits <= 8, "pocketvlad: bits must be 1 to 8, not ", bits);
  TORCH_CHECK_VALUE(
      packed.scalar_type() == at::kByte && codebook.scalar_type() == at::kFloat && codebook.dim() == 2 &&
          codebook.size(1) == (int64_t{1} << bits),
      "pocketvlad: packed must be uint8 and codebook float32 [groups, 2^bits]");
  TORCH_CHECK_VALUE(rows >= 1 && rows <= INT32_MAX && cols >= 1 && cols <= PV_MAX_COLS, "pocketvlad: a wrong shape");
  Layer l{packed.contiguous(), codebook.contiguous(), row_offsets, row_scale, bias, {}};
  l.lut.packed = l.packed.const_data_ptr<uint8_t>();
  l.lut.packed_bytes = l.packed.nbytes();
  l.lut.row_offsets = pointer<int32_t>(l.row_offsets, at::kInt, rows + 1, "row_offsets");
  l.lut.codebook = l.codebook.const_data_ptr<float>();
  l.lut.row_scale = pointer<float>(l.row_scale, at::kFloat, rows, "row_scale");
  l.lut.bias = pointer<float>(l.bias, at::kFloat, rows, "bias");
  l.lut.bits = static_cast<int32_t>(bits);
  l.lut.groups = static_cast<int32_t>(l.codebook.size(0));
  l.lut.rows = static_cast<int32_t>(rows);
  l.lut.cols = static_cast<int32_t>(cols);
  l.lut.activation = static_cast<int32_t>(activation);
  return l;
}

Tensor float_input(const Tensor& x) {
  TORCH_CHECK_VALUE(x.scalar_type() == at::kFloat, "pocketvlad: x must be float32");
  return x.contiguous();
}

// `run(worker, begin, end)` over ranges of rows that start at multiples of `step`, each with its own scratch.
template <typename Run>
void parallel_rows(int32_t rows, int32_t step, size_t worker_bytes, const Run& run) {
  at::parallel_for(0, (rows + step - 1) / step, 1, [&](int64_t begin, int64_t end) {
    const Tensor worker = bytes(worker_bytes);
    const int64_t last = std::min<int64_t>(end * step, rows);
    check(run(worker.data_ptr(), static_cast<int32_t>(begin * step), static_cast<int32_t>(last)));
  });
}

Tensor lut_linear(
    const Tensor& input, const Tensor& packed, const OptionalTensor& row_offsets, const Tensor& codebook,
    const OptionalTensor& row_scale, const OptionalTensor& bias, int64_t bits, int64_t in_features,
    int64_t out_features, int64_t block, bool fast, int64_t activation) {
  Layer l = layer(packed, row_offsets, codebook, row_scale, bias, bits, out_features, in_features, activation);
  l.lut.sparse = row_offsets.has_value();
  l.lut.block = static_cast<int32_t>(block);
  const Tensor x = float_input(input);
  TORCH_CHECK_VALUE(x.dim() >= 1 && x.size(-1) == in_features, "pocketvlad: x must end in ", in_features, " features");
  auto sizes = x.sizes().vec();
  sizes.back() = out_features;
  Tensor y = at::empty(sizes, x.options());
  const int64_t batch = x.numel() / in_features;
  check(pv_lut_check(&l.lut));
  const Tensor scratch = bytes(pv_lut_linear_scratch_bytes(&l.lut, batch, fast));
  check(pv_lut_linear_prepare(&l.lut, x.const_data_ptr<float>(), batch, fast, scratch.data_ptr()));
  parallel_rows(l.lut.rows, 32, pv_lut_linear_worker_bytes(&l.lut), [&](void* worker, int32_t begin, int32_t end) {
    return pv_lut_linear_rows(&l.lut, batch, fast, scratch.data_ptr(), worker, y.data_ptr<float>(), begin, end);
  });
  return y;
}

void pair(at::IntArrayRef values, int32_t out[2]) {
  TORCH_CHECK_VALUE(values.size() == 2, "pocketvlad: kernel, stride, padding and dilation have two values");
  for (int i = 0; i < 2; i++) {
    TORCH_CHECK_VALUE(values[i] >= 0 && values[i] <= 4096, "pocketvlad: a wrong convolution parameter, ", values[i]);
    out[i] = static_cast<int32_t>(values[i]);
  }
}

void max_pool(at::IntArrayRef values, pv_conv& conv) {
  TORCH_CHECK_VALUE(values.empty() || values.size() == 3, "pocketvlad: pool is empty or kernel, stride, ceil");
  for (const int64_t value : values) {
    TORCH_CHECK_VALUE(value >= 0 && value <= 4096, "pocketvlad: a wrong pooling parameter, ", value);
  }
  conv.pool = values.empty() ? 0 : static_cast<int32_t>(values[0]);
  conv.pool_stride = values.empty() ? 0 : static_cast<int32_t>(values[1]);
  conv.pool_ceil = values.empty() ? 0 : static_cast<int32_t>(values[2]);
}

Tensor lut_conv2d(
    const Tensor& input, const Tensor& packed, const Tensor& codebook, const OptionalTensor& row_scale,
    const OptionalTensor& bias, int64_t bits, bool sparse, int64_t out_channels, at::IntArrayRef kernel_size,
    at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups, bool fast,
    int64_t activation, at::IntArrayRef pool) {
  const Tensor x = float_input(input);
  TORCH_CHECK_VALUE(x.dim() == 4 && groups >= 1, "pocketvlad: x must be [B, C, H, W]");
  pv_conv conv{};
  conv.channels = static_cast<int32_t>(x.size(1));
  conv.height = static_cast<int32_t>(x.size(2));
  conv.width = static_cast<int32_t>(x.size(3));
  conv.groups = static_cast<int32_t>(groups);
  pair(kernel_size, conv.kernel);
  pair(stride, conv.stride);
  pair(padding, conv.padding);
  pair(dilation, conv.dilation);
  max_pool(pool, conv);
  const int64_t cols = x.size(1) / groups * conv.kernel[0] * conv.kernel[1];
  Layer l = layer(packed, std::nullopt, codebook, row_scale, bias, bits, out_channels, cols, activation);
  l.lut.sparse = sparse;
  l.lut.flat = 1;
  check(pv_conv_check(&l.lut, &conv));
  int32_t size[2];
  pv_conv_out_size(&conv, size);
  Tensor y = at::empty({x.size(0), out_channels, size[0], size[1]}, x.options());
  const Tensor scratch = bytes(pv_lut_conv2d_scratch_bytes(&l.lut, &conv, fast));
  const size_t worker_bytes = pv_lut_conv2d_worker_bytes(&l.lut, &conv, fast);
  for (int64_t n = 0; n < x.size(0); n++) {
    const float* image = x.const_data_ptr<float>() + n * (x.numel() / x.size(0));
    float* out = y.data_ptr<float>() + n * (y.numel() / x.size(0));
    check(pv_lut_conv2d_prepare(&l.lut, &conv, image, fast, scratch.data_ptr()));
    parallel_rows(l.lut.rows, PV_CONV_STEP, worker_bytes, [&](void* worker, int32_t begin, int32_t end) {
      return pv_lut_conv2d_rows(&l.lut, &conv, fast, scratch.data_ptr(), worker, out, begin, end);
    });
  }
  return y;
}

Tensor vlad_pool(
    const Tensor& input, const Tensor& packed, const Tensor& codebook, const OptionalTensor& row_scale,
    const OptionalTensor& bias, int64_t bits, bool sparse, int64_t clusters, const Tensor& centroids,
    const Tensor& centroid_scale, bool fast) {
  const Tensor x = float_input(input);
  TORCH_CHECK_VALUE(x.dim() == 4, "pocketvlad: x must be [B, D, H, W]");
  const int64_t dims = x.size(1);
  Layer l = layer(packed, std::nullopt, codebook, row_scale, bias, bits, clusters, dims, PV_NONE);
  l.lut.sparse = sparse;
  l.lut.flat = 1;
  OptionalTensor centres = centroids, scale = centroid_scale;
  pv_vlad vlad{};
  vlad.centroids = pointer<int8_t>(centres, at::kChar, clusters * dims, "centroids");
  vlad.centroid_scale = pointer<float>(scale, at::kFloat, clusters, "centroid_scale");
  vlad.clusters = l.lut.rows;
  vlad.dims = l.lut.cols;
  vlad.locations = static_cast<int32_t>(x.size(2) * x.size(3));
  check(pv_vlad_check(&l.lut, &vlad));
  Tensor y = at::empty({x.size(0), clusters * dims}, x.options());
  const Tensor scratch = bytes(pv_vlad_pool_scratch_bytes(&l.lut, &vlad, fast));
  for (int64_t n = 0; n < x.size(0); n++) {
    const float* image = x.const_data_ptr<float>() + n * dims * vlad.locations;
    float* out = y.data_ptr<float>() + n * clusters * dims;
    check(pv_vlad_pool(&l.lut, &vlad, image, fast, scratch.data_ptr(), out));
  }
  return y;
}

} // namespace

TORCH_LIBRARY_IMPL(pocketvlad, CPU, m) {
  m.impl("lut_linear", lut_linear);
  m.impl("lut_conv2d", lut_conv2d);
  m.impl("vlad_pool", vlad_pool);
}
