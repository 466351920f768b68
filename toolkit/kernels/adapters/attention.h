// The ops between a transformer's linear layers: pocketvlad::attention.out and layer_norm.out. Included by
// executorch.cpp, inside its namespace and behind its helpers.

Tensor& attention_out(KernelRuntimeContext& ctx, const Tensor& qkv, int64_t heads, double scale, Tensor& out) {
  ET_KERNEL_CHECK(
      ctx, is_float(qkv) && qkv.dim() == 3 && qkv.numel() > 0 && heads >= 1 && heads <= qkv.size(2) && qkv.size(2) % (3 * heads) == 0,
      InvalidArgument, out);
  const ssize_t width = qkv.size(2) / 3;
  const pv_attention call = {
      static_cast<int32_t>(qkv.size(1)), static_cast<int32_t>(heads), static_cast<int32_t>(width / heads),
      static_cast<float>(scale)};
  if (!succeeded(ctx, "attention", pv_attention_check(&call))) {
    return out;
  }
  ET_KERNEL_CHECK(ctx, resize_like(out, qkv, width), InvalidArgument, out);
  const size_t sequence = static_cast<size_t>(call.tokens) * static_cast<size_t>(width);
  for (size_t n = 0; n < static_cast<size_t>(qkv.size(0)); n++) {
    const float* x = qkv.const_data_ptr<float>() + 3 * n * sequence;
    float* y = out.mutable_data_ptr<float>() + n * sequence;
    const int error = parallel_rows(
        pv_attention_parts(&call), 1, pv_attention_worker_bytes(&call), [&](void* worker, int32_t begin, int32_t end) {
          return pv_attention_rows(&call, x, worker, y, begin, end);
        });
    if (!succeeded(ctx, "attention", error)) {
      return out;
    }
  }
  return out;
}

Tensor& layer_norm_out(
    KernelRuntimeContext& ctx, const Tensor& x, const OptionalTensor& weight, const OptionalTensor& bias, double epsilon,
    Tensor& out) {
  ET_KERNEL_CHECK(ctx, is_float(x) && x.dim() >= 1 && x.dim() <= 8 && x.numel() > 0, InvalidArgument, out);
  const ssize_t dims = x.size(x.dim() - 1), rows = x.numel() / dims;
  ET_KERNEL_CHECK(
      ctx, dims <= PV_MAX_COLS && rows <= INT32_MAX && is_float_vector(weight, dims) && is_float_vector(bias, dims),
      InvalidArgument, out);
  ET_KERNEL_CHECK(ctx, resize_like(out, x, dims), InvalidArgument, out);
  const float *from = x.const_data_ptr<float>(), *scale = static_cast<const float*>(data_or_null(weight));
  const float* shift = static_cast<const float*>(data_or_null(bias));
  float* y = out.mutable_data_ptr<float>();
  const int error =
      parallel_rows(static_cast<int32_t>(rows), 16, 0, [&](void*, int32_t begin, int32_t end) {
        return pv_layer_norm(
            from, static_cast<int32_t>(dims), scale, shift, static_cast<float>(epsilon), y, begin, end);
      });
  succeeded(ctx, "layer_norm", error);
  return out;
}

constexpr const char attention_name[] = "pocketvlad::attention.out";
constexpr const char layer_norm_name[] = "pocketvlad::layer_norm.out";
