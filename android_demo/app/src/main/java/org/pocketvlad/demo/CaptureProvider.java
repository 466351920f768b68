package org.pocketvlad.demo;

import android.content.ContentProvider;
import android.content.ContentValues;
import android.database.Cursor;
import android.net.Uri;
import android.os.ParcelFileDescriptor;
import java.io.File;
import java.io.FileNotFoundException;

/** One file the camera app may write a photo into, without a storage permission. */
public final class CaptureProvider extends ContentProvider {
    static final Uri PHOTO = Uri.parse("content://org.pocketvlad.demo.capture/photo.jpg");

    @Override
    public boolean onCreate() {
        return true;
    }

    @Override
    public ParcelFileDescriptor openFile(Uri uri, String mode) throws FileNotFoundException {
        if (!PHOTO.equals(uri)) throw new FileNotFoundException("No such file: " + uri);
        File photo = new File(getContext().getCacheDir(), "photo.jpg");
        return ParcelFileDescriptor.open(photo, ParcelFileDescriptor.parseMode(mode));
    }

    @Override
    public String getType(Uri uri) {
        return "image/jpeg";
    }

    @Override
    public Cursor query(Uri uri, String[] columns, String where, String[] values, String order) {
        return null;
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
