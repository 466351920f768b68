package org.pocketvlad.demo.photo;

import android.content.ContentProvider;
import android.content.ContentValues;
import android.content.Context;
import android.database.Cursor;
import android.database.MatrixCursor;
import android.net.Uri;
import android.os.ParcelFileDescriptor;
import android.provider.OpenableColumns;
import java.io.File;
import java.io.FileNotFoundException;

/** One file the camera app may write a photo into, without a storage or camera permission. */
public final class CaptureProvider extends ContentProvider {
    private static final String NAME = "capture.jpg";

    /** Its address; apps packaged under other names have one each. */
    public static Uri photo(Context context) {
        return Uri.parse("content://" + context.getPackageName() + ".capture/" + NAME);
    }

    public static File file(Context context) {
        return new File(context.getCacheDir(), NAME);
    }

    @Override
    public boolean onCreate() {
        return true;
    }

    @Override
    public ParcelFileDescriptor openFile(Uri uri, String mode) throws FileNotFoundException {
        if (!photo(getContext()).equals(uri)) throw new FileNotFoundException("No such file: " + uri);
        return ParcelFileDescriptor.open(file(getContext()), ParcelFileDescriptor.parseMode(mode));
    }

    @Override
    public String getType(Uri uri) {
        return "image/jpeg";
    }

    /** Name and size, which some camera apps look up. */
    @Override
    public Cursor query(Uri uri, String[] columns, String where, String[] values, String order) {
        MatrixCursor rows = new MatrixCursor(new String[] {OpenableColumns.DISPLAY_NAME, OpenableColumns.SIZE});
        if (photo(getContext()).equals(uri)) rows.addRow(new Object[] {NAME, file(getContext()).length()});
        return rows;
    }

    @Override
    public Uri insert(Uri uri, ContentValues values) {
        return null;
    }

    @Override
    public int delete(Uri uri, String where, String[] values) {
        return 0;
    }

    @Override
    public int update(Uri uri, ContentValues values, String where, String[] whereValues) {
        return 0;
    }
}
