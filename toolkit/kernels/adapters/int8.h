// The ops of int8 activations: pocketvlad::int8_from_float.out, int8_to_float.out, int8_conv2d.out, int8_add.out,
// int8_max_pool.out. Included by executorch.cpp, inside its namespace and behind its helpers.
//
// An image is int8 [batch, quads, height, width, 4], see lut/int8.h.

bool is_int8_image(const Tensor& x) {
  return x.scalar_type() == ScalarType::Char && x.dim() == 5 && x.size(4) == 4 && x.numel() > 0 &&
      static_cast<int64_t>(x.size(0)) * x.size(1) <= INT32_MAX;
}

pv_i8_grid int8_grid(double scale, int64_t zero) {
  return {static_cast<float>(scale), zero >= -128 && zero <= 127 ? static_cast<int32_t>(zero) : INT32_MAX};
}

bool resize_int8(Tensor& out, ssize_t batch, int64_t quads, int64_t height, int64_t width) {
  const SizesType sizes[5] = {
      static_cast<SizesType>(batch), static_cast<SizesType>(quads), static_cast<SizesType>(height),
      static_cast<SizesType>(width), 4};
  return out.scalar_type() == ScalarType::Char && executorch::runtime::resize_tensor(out, {sizes, 5}) == Error::Ok;
}

size_t image_size(const Tensor& x) {
  return static_cast<size_t>(x.numel() / x.size(0));
}

Tensor& int8_from_float_out(KernelRuntimeContext& ctx, const Tensor& x, double scale, int64_t zero, Tensor& out) {
  ET_KERNEL_CHECK(ctx, is_float(x) && x.dim() == 4 && x.numel() > 0, InvalidArgument, out);
  const int32_t channels = x.size(1), quads = channels / 4 + (channels % 4 != 0);
  ET_KERNEL_CHECK(ctx, resize_int8(out, x.size(0), quads, x.size(2), x.size(3)), InvalidArgument, out);
  const pv_i8_grid grid = int8_grid(scale, zero);
  const size_t pixels = static_cast<size_t>(x.size(2)) * static_cast<size_t>(x.size(3));
  for (size_t n = 0; n < static_cast<size_t>(x.size(0)); n++) {
    const float* from = x.const_data_ptr<float>() + n * image_size(x);
    int8_t* y = out.mutable_data_ptr<int8_t>() + n * image_size(out);
    const int error = parallel_rows(quads, 1, 0, [&](void*, int32_t begin, int32_t end) {
      return pv_i8_from_float(from, channels, pixels, &grid, y, begin, end);
    });
    if (!succeeded(ctx, "int8_from_float", error)) {
      return out;
    }
  }
  return out;
}

Tensor& int8_to_float_out(
    KernelRuntimeContext& ctx, const Tensor& x, int64_t channels, double scale, int64_t zero, Tensor& out) {
  ET_KERNEL_CHECK(
      ctx, is_int8_image(x) && channels >= 1 && channels <= 4 * x.size(1) && channels > 4 * (x.size(1) - 1),
      InvalidArgument, out);
  const SizesType sizes[4] = {
      static_cast<SizesType>(x.size(0)), static_cast<SizesType>(channels), static_cast<SizesType>(x.size(2)),
      static_cast<SizesType>(x.size(3))};
  ET_KERNEL_CHECK(ctx, resize(out, {sizes, 4}), InvalidArgument, out);
  const pv_i8_grid grid = int8_grid(scale, zero);
  const size_t pixels = static_cast<size_t>(x.size(2)) * static_cast<size_t>(x.size(3));
  for (size_t n = 0; n < static_cast<size_t>(x.size(0)); n++) {
    const int8_t* from = x.const_data_ptr<int8_t>() + n * image_size(x);
    float* y = out.mutable_data_ptr<float>() + n * image_size(out);
    const int error = parallel_rows(x.size(1), 1, 0, [&](void*, int32_t begin, int32_t end) {
      return pv_i8_to_float(from, static_cast<int32_t>(channels), pixels, &grid, y, begin, end);
    });
    if (!succeeded(ctx, "int8_to_float", error)) {
      return out;
    }
  }
  return out;
}

// One image: planes, then rows, each split over threads.
int int8_conv2d_image(
    const pv_lut& lut, const pv_i8_conv& conv, const int8_t* x, void* scratch, size_t worker_bytes, int8_t* y) {
  const int32_t planes = pv_i8_conv_planes_count(&lut, &conv);
  if (planes) {
    parallel_rows(planes, 1, 0, [&](void*, int32_t begin, int32_t end) {
      pv_i8_conv_planes(&lut, &conv, x, scratch, begin, end);
      return PV_OK;
    });
  }
  return parallel_rows(lut.rows, PV_CONV_STEP, worker_bytes, [&](void* worker, int32_t begin, int32_t end) {
    return pv_i8_conv_rows(&lut, &conv, x, scratch, worker, y, begin, end);
  });
}

bool int8_geometry(const IntList& stride, const IntList& padding, const IntList& dilation, pv_i8_conv& conv) {
  for (size_t i = 0; i < padding.size() && i < 4; i++) {
    if (padding[i] < 0 || padding[i] > 4096) {
      return false;
    }
    conv.padding[i] = static_cast<int32_t>(padding[i]);
  }
  return padding.size() == 4 && pair(stride, conv.stride) && pair(dilation, conv.dilation);
}

Tensor& int8_conv2d_out(
    KernelRuntimeContext& ctx, const Tensor& x, const Tensor& packed, const Tensor& codebook,
    const OptionalTensor& row_scale, const OptionalTensor& bias, int64_t bits, int64_t layout, int64_t channels,
    int64_t out_channels, IntList kernel_size, IntList stride, IntList padding, IntList dilation, int64_t groups,
    int64_t activation, double in_scale, int64_t in_zero, double out_scale, int64_t out_zero, Tensor& out) {
  ET_KERNEL_CHECK(
      ctx,
      is_int8_image(x) && channels >= 1 && (channels + 3) / 4 == x.size(1) && groups >= 1 && groups <= channels,
      InvalidArgument, out);
  pv_i8_conv conv{};
  conv.channels = static_cast<int32_t>(channels);
  conv.height = x.size(2);
  conv.width = x.size(3);
  conv.groups = static_cast<int32_t>(groups);
  conv.in = int8_grid(in_scale, in_zero);
  conv.out = int8_grid(out_scale, out_zero);
  ET_KERNEL_CHECK(
      ctx, pair(kernel_size, conv.kernel) && int8_geometry(stride, padding, dilation, conv), InvalidArgument, out);
  const int64_t cols = channels / groups * conv.kernel[0] * conv.kernel[1];
  ET_KERNEL_CHECK(
      ctx, is_layer(packed, codebook, row_scale, bias, out_channels, cols, bits, layout), InvalidArgument, out);
  pv_lut lut = layer(packed, codebook, row_scale, bias, out_channels, cols, bits, layout);
  lut.activation = static_cast<int32_t>(activation);
  if (!succeeded(ctx, "int8_conv2d", pv_i8_conv_check(&lut, &conv))) {
    return out;
  }
  int32_t size[2];
  pv_i8_conv_out_size(&conv, size);
  ET_KERNEL_CHECK(ctx, resize_int8(out, x.size(0), (out_channels + 3) / 4, size[0], size[1]), InvalidArgument, out);

  const Scratch scratch(ctx, pv_i8_conv_scratch_bytes(&lut, &conv));
  ET_KERNEL_CHECK(ctx, scratch.data(), MemoryAllocationFailed, out);
  const size_t worker_bytes = pv_i8_conv_worker_bytes(&lut, &conv);
  int error = pv_i8_conv_prepare(&lut, &conv, scratch.data());
  for (size_t n = 0; n < static_cast<size_t>(x.size(0)) && !error; n++) {
    const int8_t* from = x.const_data_ptr<int8_t>() + n * image_size(x);
    int8_t* y = out.mutable_data_ptr<int8_t>() + n * image_size(out);
    error = int8_conv2d_image(lut, conv, from, scratch.data(), worker_bytes, y);
  }
  succeeded(ctx, "int8_conv2d", error);
  return out;
}

Tensor& int8_add_out(
    KernelRuntimeContext& ctx, const Tensor& a, const Tensor& b, double a_scale, int64_t a_zero, double b_scale,
    int64_t b_zero, double out_scale, int64_t out_zero, int64_t activation, Tensor& out) {
  ET_KERNEL_CHECK(ctx, is_int8_image(a) && is_int8_image(b), InvalidArgument, out);
  for (ssize_t d = 0; d < 5; d++) {
    ET_KERNEL_CHECK(ctx, a.size(d) == b.size(d), InvalidArgument, out);
  }
  ET_KERNEL_CHECK(ctx, resize_int8(out, a.size(0), a.size(1), a.size(2), a.size(3)), InvalidArgument, out);
  const pv_i8_grid first = int8_grid(a_scale, a_zero), second = int8_grid(b_scale, b_zero);
  const pv_i8_grid sum = int8_grid(out_scale, out_zero);
  const size_t quad = 4 * static_cast<size_t>(a.size(2)) * static_cast<size_t>(a.size(3));
  const int8_t *left = a.const_data_ptr<int8_t>(), *right = b.const_data_ptr<int8_t>();
  int8_t* y = out.mutable_data_ptr<int8_t>();
  const int32_t quads = static_cast<int32_t>(a.size(0) * a.size(1));
  const int error = parallel_rows(quads, 1, 0, [&](void*, int32_t begin, int32_t end) {
    const size_t at = static_cast<size_t>(begin) * quad, n = static_cast<size_t>(end - begin) * quad;
    const auto kind = static_cast<int32_t>(activation);
    return pv_i8_add(left + at, &first, right + at, &second, &sum, kind, n, y + at);
  });
  succeeded(ctx, "int8_add", error);
  return out;
}

Tensor& int8_max_pool_out(
    KernelRuntimeContext& ctx, const Tensor& x, int64_t kernel, int64_t stride, int64_t padding, bool ceil,
    Tensor& out) {
  const int64_t limit = 64;
  ET_KERNEL_CHECK(
      ctx, is_int8_image(x) && kernel <= limit && stride <= limit && padding >= 0 && padding <= limit,
      InvalidArgument, out);
  const pv_i8_pool pool = {
      static_cast<int32_t>(x.size(0) * x.size(1)), static_cast<int32_t>(x.size(2)), static_cast<int32_t>(x.size(3)),
      static_cast<int32_t>(kernel), static_cast<int32_t>(stride), static_cast<int32_t>(padding), ceil};
  if (!succeeded(ctx, "int8_max_pool", pv_i8_pool_check(&pool))) {
    return out;
  }
  int32_t size[2];
  pv_i8_pool_out_size(&pool, size);
  ET_KERNEL_CHECK(ctx, resize_int8(out, x.size(0), x.size(1), size[0], size[1]), InvalidArgument, out);
  const int8_t* from = x.const_data_ptr<int8_t>();
  int8_t* y = out.mutable_data_ptr<int8_t>();
  const int error = parallel_rows(
      pool.quads, 1, pv_i8_pool_worker_bytes(&pool), [&](void* worker, int32_t begin, int32_t end) {
        return pv_i8_max_pool(&pool, from, worker, y, begin, end);
      });
  succeeded(ctx, "int8_max_pool", error);
  return out;
}

constexpr const char from_float_name[] = "pocketvlad::int8_from_float.out";
constexpr const char to_float_name[] = "pocketvlad::int8_to_float.out";
constexpr const char int8_conv2d_name[] = "pocketvlad::int8_conv2d.out";
constexpr const char int8_add_name[] = "pocketvlad::int8_add.out";
constexpr const char int8_max_pool_name[] = "pocketvlad::int8_max_pool.out";
