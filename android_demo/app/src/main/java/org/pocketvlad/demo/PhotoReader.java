package org.pocketvlad.demo;

import android.content.ContentResolver;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.graphics.Canvas;
import android.graphics.Color;
import android.graphics.Matrix;
import android.media.ExifInterface;
import android.net.Uri;
import java.io.IOException;
import java.io.InputStream;

/** Photos of any size as pixels; large ones are decoded at a half, a quarter, … of their size. */
final class PhotoReader {
    /** Pixels of the longer side after decoding, at most; well above what any model takes. */
    static final int MAX_SIDE = 2048;

    final Recognizer.Picture picture;
    private final Bitmap bitmap;

    private PhotoReader(Recognizer.Picture picture, Bitmap bitmap) {
        this.picture = picture;
        this.bitmap = bitmap;
    }

    /** @throws PhotoException with the reason it cannot be opened or decoded */
    static PhotoReader read(ContentResolver resolver, Uri uri) throws PhotoException {
        try {
            BitmapFactory.Options options = new BitmapFactory.Options();
            options.inJustDecodeBounds = true;
            decode(resolver, uri, options);
            if (options.outWidth < 1 || options.outHeight < 1) {
                throw new PhotoException(R.string.photo_format, null);
            }
            options.inJustDecodeBounds = false;
            options.inPreferredConfig = Bitmap.Config.ARGB_8888;
            options.inSampleSize = sampleSize(options.outWidth, options.outHeight);
            Bitmap bitmap = decode(resolver, uri, options);
            if (bitmap == null) throw new PhotoException(R.string.photo_damaged, null);
            bitmap = onWhite(bitmap);
            return new PhotoReader(picture(bitmap, orientation(resolver, uri)), bitmap);
        } catch (IOException e) {
            throw new PhotoException(R.string.photo_gone, e);
        } catch (SecurityException e) {
            throw new PhotoException(R.string.photo_forbidden, e);
        } catch (OutOfMemoryError e) {
            throw new PhotoException(R.string.photo_large, e);
        }
    }

    /** Transparent photos lie on white, as on the workstation. */
    private static Bitmap onWhite(Bitmap bitmap) {
        if (!bitmap.hasAlpha()) return bitmap;
        Bitmap opaque = Bitmap.createBitmap(bitmap.getWidth(), bitmap.getHeight(), Bitmap.Config.ARGB_8888);
        Canvas canvas = new Canvas(opaque);
        canvas.drawColor(Color.WHITE);
        canvas.drawBitmap(bitmap, 0, 0, null);
        return opaque;
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
        if (picture.orientation == Orientation.UPRIGHT) return bitmap;
        Matrix matrix = new Matrix();
        if (Orientation.mirrored(picture.orientation)) matrix.postScale(-1, 1);
        matrix.postRotate(Orientation.degrees(picture.orientation));
        return Bitmap.createBitmap(bitmap, 0, 0, bitmap.getWidth(), bitmap.getHeight(), matrix, true);
    }

    private static Bitmap decode(ContentResolver resolver, Uri uri, BitmapFactory.Options options)
            throws IOException {
        try (InputStream in = open(resolver, uri)) {
            return BitmapFactory.decodeStream(in, null, options);
        }
    }

    private static int orientation(ContentResolver resolver, Uri uri) throws IOException {
        try (InputStream in = open(resolver, uri)) {
            return Orientation.checked(new ExifInterface(in).getAttributeInt(ExifInterface.TAG_ORIENTATION, 1));
        } catch (RuntimeException e) {
            return Orientation.UPRIGHT; // the reader of EXIF fails on some formats, which have no orientation
        }
    }

    private static InputStream open(ContentResolver resolver, Uri uri) throws IOException {
        InputStream in = resolver.openInputStream(uri);
        if (in == null) throw new IOException("No stream for " + uri);
        return in;
    }
}
