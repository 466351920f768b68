/* From decoded pixels to the model's input: EXIF rotation, antialiased resize, normalisation.
 * One function for the workstation and the phone, so that both see the same numbers. */
#ifndef POCKETVLAD_PREPROCESS_H
#define POCKETVLAD_PREPROCESS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  PV_PREPROCESS_OK = 0,
  PV_PREPROCESS_ARGUMENT = -1, /* a size, stride, channel count, orientation or std out of range */
  PV_PREPROCESS_MEMORY = -2,   /* the scratch row or the filters could not be allocated */
};

/* pixels: uint8, rows of `row_stride` bytes, `channels` interleaved (3 RGB or 4 RGBX), as decoded.
 * orientation: EXIF tag 274, 1..8; the upright image is what gets resized.
 * Resize: exact stretch to out_height x out_width with a triangle filter whose support grows with the
 * reduction (Pillow's BILINEAR), rows first, float32 throughout, no rounding between the passes.
 * out: float32 [3, out_height, out_width] = (value / 255 - mean) / std, std > 0.
 * Sides: stored image at most 2^20 pixels, output at most 16384.
 * Scratch: one row of floats, width * channels of them, and the filters: never a copy of the image. */
int pv_preprocess(const uint8_t* pixels, int width, int height, size_t row_stride, int channels,
                  int orientation, int out_height, int out_width, const float mean[3], const float std[3],
                  float* out);

/* A camera's frame, Android's YUV_420_888: full-range BT.601, a value of u and v for 2x2 pixels, (side + 1) / 2 of
 * them; strides and sizes in bytes. The last row of a plane may end with its last value. */
typedef struct pv_yuv {
  const uint8_t *y, *u, *v;
  size_t y_size, u_size, v_size;
  size_t y_row_stride, u_row_stride, v_row_stride;
  size_t y_pixel_stride, u_pixel_stride, v_pixel_stride; /* 1 to 8: 2 where u and v are interleaved */
  int width, height;                                     /* at most 16384 */
} pv_yuv;

/* -> rgb: uint8 [height, width, 3], which pv_preprocess takes; each u and v stands for its whole 2x2 block.
 * PV_PREPROCESS_ARGUMENT: a size or stride out of range, or a plane too short for it. */
int pv_yuv_to_rgb(const pv_yuv* frame, uint8_t* rgb);

#ifdef __cplusplus
}
#endif
#endif
