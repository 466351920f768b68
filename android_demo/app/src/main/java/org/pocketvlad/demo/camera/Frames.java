package org.pocketvlad.demo.camera;

import android.media.Image;
import org.pocketvlad.demo.recognizer.Frame;

/** The camera's images as the native library reads them, in place. */
final class Frames {
    private static final int[] ORIENTATIONS = {1, 6, 3, 8}; // EXIF, by quarter turns clockwise

    private Frames() {}

    /** @param degrees clockwise that make it upright; valid until the image is closed */
    static Frame of(Image image, int degrees) {
        Image.Plane[] planes = image.getPlanes();
        return new Frame(planes[0].getBuffer(), planes[1].getBuffer(), planes[2].getBuffer(), planes[0].getRowStride(),
                planes[1].getRowStride(), planes[1].getPixelStride(), image.getWidth(), image.getHeight(),
                orientation(degrees));
    }

    /** The EXIF orientation of a picture that is upright after a turn clockwise. */
    static int orientation(int degrees) {
        return ORIENTATIONS[Math.floorMod(degrees / 90, 4)];
    }
}
