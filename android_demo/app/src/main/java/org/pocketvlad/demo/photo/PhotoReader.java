package org.pocketvlad.demo.photo;

import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.graphics.Canvas;
import android.graphics.Color;
import android.media.ExifInterface;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.recognizer.Pixels;
import org.pocketvlad.demo.recognizer.ProgramInfo;

/** Photos of any size as the pixels the workstation describes: large JPEGs at a half, a quarter or an eighth. */
public final class PhotoReader {
    private static final int REDUCED_SIDES = 4; // times the model's input that a large JPEG keeps
    private static final long REDUCED_PIXELS = 25_000_000; // that any photo keeps at most
    private static final int MOST_REDUCED = 8; // by a JPEG decoder
    private static final long HUGE = 50_000_000; // pixels whose decoder is likelier out of memory than the file damaged

    private static final int STRIP = 64; // rows whose colours change places at a time

    private PhotoReader() {}

    /**
     * Reads a photo for a model.
     *
     * @throws PhotoException with the reason it cannot be opened or decoded
     */
    public static Photo read(File file, ProgramInfo model) throws PhotoException {
        BitmapFactory.Options options = new BitmapFactory.Options();
        options.inJustDecodeBounds = true;
        BitmapFactory.decodeFile(file.getPath(), options);
        int width = options.outWidth;
        int height = options.outHeight;
        if (width < 1 || height < 1) throw new PhotoException(R.string.photo_format, null);
        options.inJustDecodeBounds = false;
        options.inPreferredConfig = Bitmap.Config.ARGB_8888;
        boolean jpeg = "image/jpeg".equals(options.outMimeType); // other decoders leave pixels out instead
        options.inSampleSize = jpeg ? reduction(width, height, model) : fitting(width, height);
        Bitmap bitmap = BitmapFactory.decodeFile(file.getPath(), options);
        if (bitmap == null) {
            boolean huge = (long) width * height > HUGE;
            throw new PhotoException(huge ? R.string.photo_large : R.string.photo_damaged, null);
        }
        ExifInterface exif = exif(file);
        int tag = exif == null ? 1 : exif.getAttributeInt(ExifInterface.TAG_ORIENTATION, 1);
        float[] place = new float[2];
        boolean placed = exif != null && exif.getLatLong(place);
        Bitmap opaque = onWhite(bitmap);
        return new Photo(pixels(opaque, Orientation.checked(tag)), opaque,
                placed ? new double[] {place[0], place[1]} : null);
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
    public static int reduction(int width, int height, ProgramInfo model) {
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
    public static int fitting(int width, int height) {
        int scale = 1;
        while (tooMany(width, height, scale)) scale *= 2;
        return scale;
    }

    private static boolean tooMany(int width, int height, int scale) {
        return (long) width * height > REDUCED_PIXELS * scale * scale;
    }

    /** The pixels of an opaque bitmap in sRGB, copied once. */
    public static Pixels pixels(Bitmap bitmap, int orientation) {
        int width = bitmap.getWidth();
        int height = bitmap.getHeight();
        ByteBuffer rgba = ByteBuffer.allocateDirect(4 * width * height).order(ByteOrder.LITTLE_ENDIAN);
        IntBuffer pixels = rgba.asIntBuffer();
        int[] strip = new int[width * Math.min(height, STRIP)];
        for (int row = 0; row < height; row += STRIP) {
            int rows = Math.min(STRIP, height - row);
            bitmap.getPixels(strip, 0, width, 0, row, width, rows); // 0xAARRGGBB, whatever the bitmap's own order
            for (int i = 0; i < rows * width; i++) {
                int p = strip[i];
                strip[i] = p & 0xFF00FF00 | p >> 16 & 0xFF | (p & 0xFF) << 16;
            }
            pixels.put(strip, 0, rows * width);
        }
        return new Pixels(rgba, width, height, orientation);
    }

    /** Null where the file has none that can be read. */
    private static ExifInterface exif(File file) {
        try {
            return new ExifInterface(file.getPath());
        } catch (IOException | RuntimeException e) {
            return null; // the reader of EXIF fails on some formats, which have no orientation
        }
    }
}
