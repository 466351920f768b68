#include "preprocess.h"

/* BT.601 in 16-bit fixed point, as libjpeg has it: 1.402, 0.344136, 0.714136, 1.772. */
enum { RED_V = 91881, GREEN_U = 22554, GREEN_V = 46802, BLUE_U = 116130, HALF = 1 << 15, LARGEST_FRAME = 16384 };

static uint8_t clamped(int32_t value) { return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value); }

/* Whether `rows` rows of `columns` values lie inside a plane. */
static int plane_fits(const uint8_t* plane, size_t size, size_t row_stride, size_t step, size_t columns, size_t rows) {
  const size_t row = (columns - 1) * step + 1;
  return plane && step >= 1 && step <= 8 && row_stride >= row && row <= size &&
         (rows == 1 || (size - row) / (rows - 1) >= row_stride);
}

static int frame_fits(const pv_yuv* frame) {
  if (frame->width < 1 || frame->height < 1 || frame->width > LARGEST_FRAME || frame->height > LARGEST_FRAME) return 0;
  const size_t width = (size_t)frame->width, height = (size_t)frame->height;
  const size_t columns = (width + 1) / 2, rows = (height + 1) / 2;
  return plane_fits(frame->y, frame->y_size, frame->y_row_stride, frame->y_pixel_stride, width, height) &&
         plane_fits(frame->u, frame->u_size, frame->u_row_stride, frame->u_pixel_stride, columns, rows) &&
         plane_fits(frame->v, frame->v_size, frame->v_row_stride, frame->v_pixel_stride, columns, rows);
}

int pv_yuv_to_rgb(const pv_yuv* frame, uint8_t* rgb) {
  if (!frame_fits(frame)) return PV_PREPROCESS_ARGUMENT;
  for (int row = 0; row < frame->height; row++) {
    const uint8_t* y = frame->y + (size_t)row * frame->y_row_stride;
    const uint8_t* u = frame->u + (size_t)(row / 2) * frame->u_row_stride;
    const uint8_t* v = frame->v + (size_t)(row / 2) * frame->v_row_stride;
    for (int column = 0; column < frame->width; column++, rgb += 3) {
      const size_t chroma = (size_t)(column / 2);
      const int32_t light = ((int32_t)y[(size_t)column * frame->y_pixel_stride] << 16) + HALF;
      const int32_t blue = u[chroma * frame->u_pixel_stride] - 128, red = v[chroma * frame->v_pixel_stride] - 128;
      rgb[0] = clamped((light + RED_V * red) >> 16);
      rgb[1] = clamped((light - GREEN_U * blue - GREEN_V * red) >> 16);
      rgb[2] = clamped((light + BLUE_U * blue) >> 16);
    }
  }
  return PV_PREPROCESS_OK;
}
