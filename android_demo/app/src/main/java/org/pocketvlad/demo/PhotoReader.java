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

/** Photos of any size as the pixels the workstation describes: large JPEGs at a half, a quarter or an eighth. */
final class PhotoReader {
    private static final int REDUCED_SIDES = 4; // times the model's input that a large JPEG keeps
    private static final long REDUCED_PIXELS = 25_000_000; // that any photo keeps at most
    private static final int MOST_REDUCED = 8; // by a JPEG decoder

    final Recognizer.Picture picture;
    private final Bitmap bitmap;

    private PhotoReader(Recognizer.Picture picture, Bitmap bitmap) {
        this.picture = picture;
        this.bitmap = bitmap;
    }

    /**
     * Reads a photo for a model.
     *
     * @throws PhotoException with the reason it cannot be opened or decoded
     */
    static PhotoReader read(ContentResolver resolver, Uri uri, ProgramInfo model) throws PhotoException {
        try {
            BitmapFactory.Options options = new BitmapFactory.Options();
            options.inJustDecodeBounds = true;
            decode(resolver, uri, options);
            if (options.outWidth < 1 || options.outHeight < 1) {
                throw new PhotoException(R.string.photo_format, null);
            }
            options.inJustDecodeBounds = false;
            options.inPreferredConfig = Bitmap.Config.ARGB_8888;
            boolean jpeg = "image/jpeg".equals(options.outMimeType); // other decoders leave pixels out instead
            options.inSampleSize = jpeg ? reduction(options.outWidth, options.outHeight, model)
                    : fitting(options.outWidth, options.outHeight);
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

    /** How many times smaller a JPEG is decoded; the workstation's jpeg_reduction. */
    static int reduction(int width, int height, ProgramInfo model) {
        long longer = REDUCED_SIDES * (long) Math.max(model.inputWidth, model.inputHeight);
        long shorter = REDUCED_SIDES * (long) Math.min(model.inputWidth, model.inputHeight);
        int scale = 1;
        while (scale < MOST_REDUCED && (tooMany(width, height, scale)
                || Math.max(width, height) >= 2 * scale * longer && Math.min(width, height) >= 2 * scale * shorter)) {
            scale *= 2;
        }
        return scale;
    }

    /** The least reduction after which the phone can hold a photo of another format. */
    static int fitting(int width, int height) {
        int scale = 1;
        while (tooMany(width, height, scale)) scale *= 2;
        return scale;
    }

    private static boolean tooMany(int width, int height, int scale) {
        return (long) width * height > REDUCED_PIXELS * scale * scale;
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
