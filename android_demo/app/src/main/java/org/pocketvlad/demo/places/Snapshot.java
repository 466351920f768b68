package org.pocketvlad.demo.places;

import android.graphics.Bitmap;

/** A photo or a frame that is to become a photo of a place. */
public final class Snapshot {
    final Bitmap picture;
    final double[] position;
    final float[] descriptor;

    /** @param position latitude and longitude in degrees, or null */
    public Snapshot(Bitmap picture, double[] position, float[] descriptor) {
        this.picture = picture;
        this.position = position;
        this.descriptor = descriptor;
    }
}
