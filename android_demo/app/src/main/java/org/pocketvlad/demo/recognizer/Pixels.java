package org.pocketvlad.demo.recognizer;

import java.nio.ByteBuffer;

/** A decoded photo: a direct buffer of bytes R, G, B, A, row by row, and the EXIF orientation that makes it upright. */
public final class Pixels {
    public final ByteBuffer rgba;
    public final int width;
    public final int height;
    /** 1 to 8. */
    public final int orientation;

    public Pixels(ByteBuffer rgba, int width, int height, int orientation) {
        this.rgba = rgba;
        this.width = width;
        this.height = height;
        this.orientation = orientation;
    }
}
