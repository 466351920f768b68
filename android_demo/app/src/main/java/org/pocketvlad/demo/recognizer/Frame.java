package org.pocketvlad.demo.recognizer;

import java.nio.ByteBuffer;

/** A camera's frame in YUV_420_888: three direct buffers, strides in bytes, and the orientation that makes it upright. */
public final class Frame {
    final ByteBuffer y;
    final ByteBuffer u;
    final ByteBuffer v;
    final int yRowStride;
    final int chromaRowStride;
    final int chromaPixelStride;
    final int width;
    final int height;
    final int orientation;

    public Frame(ByteBuffer y, ByteBuffer u, ByteBuffer v, int yRowStride, int chromaRowStride, int chromaPixelStride,
            int width, int height, int orientation) {
        this.y = y;
        this.u = u;
        this.v = v;
        this.yRowStride = yRowStride;
        this.chromaRowStride = chromaRowStride;
        this.chromaPixelStride = chromaPixelStride;
        this.width = width;
        this.height = height;
        this.orientation = orientation;
    }
}
