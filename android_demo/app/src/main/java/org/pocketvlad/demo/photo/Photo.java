package org.pocketvlad.demo.photo;

import android.graphics.Bitmap;
import android.graphics.Matrix;
import org.pocketvlad.demo.recognizer.Pixels;

/** A photo that was read: pixels for the model, and what a person sees. */
public final class Photo {
    public final Pixels pixels;
    /** Latitude and longitude its camera wrote into it, or null. */
    public final double[] position;
    private final Bitmap bitmap;

    Photo(Pixels pixels, Bitmap bitmap, double[] position) {
        this.pixels = pixels;
        this.bitmap = bitmap;
        this.position = position;
    }

    /** As a person sees it, {@code longest} pixels on the longer side at most. */
    public Bitmap upright(int longest) {
        double scale = Math.min(1.0, (double) longest / Math.max(bitmap.getWidth(), bitmap.getHeight()));
        Bitmap small = scale == 1 ? bitmap : Bitmap.createScaledBitmap(bitmap,
                Math.max(1, (int) Math.round(bitmap.getWidth() * scale)),
                Math.max(1, (int) Math.round(bitmap.getHeight() * scale)), true);
        if (pixels.orientation == Orientation.UPRIGHT) return small;
        Matrix matrix = new Matrix();
        if (Orientation.mirrored(pixels.orientation)) matrix.postScale(-1, 1);
        matrix.postRotate(Orientation.degrees(pixels.orientation));
        return Bitmap.createBitmap(small, 0, 0, small.getWidth(), small.getHeight(), matrix, true);
    }
}
