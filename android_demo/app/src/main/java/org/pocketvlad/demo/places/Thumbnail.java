package org.pocketvlad.demo.places;

import android.graphics.Bitmap;
import java.io.ByteArrayOutputStream;

/** A photo small enough for an index, as the workstation makes them. */
final class Thumbnail {
    private static final int LONGEST = 160; // pixels
    private static final int QUALITY = 80;

    private Thumbnail() {}

    static byte[] jpeg(Bitmap photo) {
        double scale = Math.min(1.0, (double) LONGEST / Math.max(photo.getWidth(), photo.getHeight()));
        Bitmap small = Bitmap.createScaledBitmap(photo, Math.max(1, (int) Math.round(photo.getWidth() * scale)),
                Math.max(1, (int) Math.round(photo.getHeight() * scale)), true);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        small.compress(Bitmap.CompressFormat.JPEG, QUALITY, out);
        return out.toByteArray();
    }
}
