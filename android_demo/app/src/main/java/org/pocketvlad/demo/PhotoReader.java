package org.pocketvlad.demo;

import android.content.ContentResolver;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.graphics.Matrix;
import android.media.ExifInterface;
import android.net.Uri;
import java.io.IOException;
import java.io.InputStream;

/** Photos of any size as pixels; large ones are decoded at a half, a quarter, … of their size. */
final class PhotoReader {
    /** Longer side after decoding, at most; well above what any model takes. */
    static final int MAX_SIDE = 2048;

    final Recognizer.Picture picture;
    private final Bitmap bitmap;

    private PhotoReader(Recognizer.Picture picture, Bitmap bitmap) {
        this.picture = picture;
        this.bitmap = bitmap;
    }

    /** @throws IOException the photo cannot be opened or decoded */
    static PhotoReader read(ContentResolver resolver, Uri uri) throws IOException {
        BitmapFactory.Options options = new BitmapFactory.Options();
        options.inJustDecodeBounds = true;
        decode(resolver, uri, options);
        if (options.outWidth < 1 || options.outHeight < 1) throw new IOException("no known image format");
        options.inJustDecodeBounds = false;
        options.inPreferredConfig = Bitmap.Config.ARGB_8888;
        options.inSampleSize = sampleSize(options.outWidth, options.outHeight);
        Bitmap bitmap = decode(resolver, uri, options);
        if (bitmap == null) throw new IOException("damaged or cut short");
        return new PhotoReader(picture(bitmap, orientation(resolver, uri)), bitmap);
    }

    /** The least power of two that brings the longer side to MAX_SIDE or less. */
    static int sampleSize(int width, int height) {
        int size = 1;
        while (Math.max(width, height) / size > MAX_SIDE) size *= 2;
        return size;
    }

    static Recognizer.Picture picture(Bitmap bitmap, int orientation) {
        int width = bitmap.getWidth();
        int height = bitmap.getHeight();
        int[] argb = new int[width * height];
        bitmap.getPixels(argb, 0, width, 0, 0, width, height);
        return new Recognizer.Picture(argb, width, height, orientation);
    }

    /** The photo as a person sees it. */
    Bitmap upright() {
        Matrix matrix = matrix(picture.orientation);
        if (matrix.isIdentity()) return bitmap;
        return Bitmap.createBitmap(bitmap, 0, 0, bitmap.getWidth(), bitmap.getHeight(), matrix, true);
    }

    /** What makes pixels of an EXIF orientation upright. */
    static Matrix matrix(int orientation) {
        Matrix matrix = new Matrix();
        boolean mirrored = orientation == 2 || orientation == 4 || orientation == 5 || orientation == 7;
        if (mirrored) matrix.postScale(-1, 1);
        if (orientation == 3 || orientation == 4) matrix.postRotate(180);
        if (orientation == 6 || orientation == 7) matrix.postRotate(90);
        if (orientation == 5 || orientation == 8) matrix.postRotate(270);
        return matrix;
    }

    private static Bitmap decode(ContentResolver resolver, Uri uri, BitmapFactory.Options options)
            throws IOException {
        try (InputStream in = open(resolver, uri)) {
            return BitmapFactory.decodeStream(in, null, options);
        }
    }

    private static int orientation(ContentResolver resolver, Uri uri) throws IOException {
        try (InputStream in = open(resolver, uri)) {
            int tag = new ExifInterface(in).getAttributeInt(ExifInterface.TAG_ORIENTATION, 1);
            return tag >= 1 && tag <= 8 ? tag : 1;
        } catch (RuntimeException e) {
            return 1; // some formats make the reader of EXIF fail; they have no orientation
        }
    }

    private static InputStream open(ContentResolver resolver, Uri uri) throws IOException {
        try {
            InputStream in = resolver.openInputStream(uri);
            if (in == null) throw new IOException("it cannot be opened");
            return in;
        } catch (SecurityException e) {
            throw new IOException("access to it has ended; pick it again", e);
        }
    }
}
