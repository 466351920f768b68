package org.pocketvlad.demo;

import android.content.Context;
import android.content.res.AssetFileDescriptor;
import android.os.ParcelFileDescriptor;
import java.io.Closeable;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;

/** Part of an open file that native code can map: an uncompressed asset inside the APK itself. */
final class MappableFile implements Closeable {
    final long offset;
    final long length;
    private final ParcelFileDescriptor file;

    private MappableFile(ParcelFileDescriptor file, long offset, long length) {
        this.file = file;
        this.offset = offset;
        this.length = length;
    }

    /** Opens an asset in place; where the system cannot (some containers), a copy in the cache folder. */
    static MappableFile asset(Context context, String name) throws IOException {
        try {
            AssetFileDescriptor asset = context.getAssets().openFd(name);
            return new MappableFile(asset.getParcelFileDescriptor(), asset.getStartOffset(), asset.getLength());
        } catch (IOException | UnsupportedOperationException e) {
            return copy(context, name);
        }
    }

    int descriptor() {
        return file.getFd();
    }

    @Override
    public void close() throws IOException {
        file.close();
    }

    private static MappableFile copy(Context context, String name) throws IOException {
        File target = new File(context.getCacheDir(), name.replace('/', '_'));
        File partial = File.createTempFile("asset", ".part", context.getCacheDir());
        try (InputStream in = context.getAssets().open(name);
                FileOutputStream out = new FileOutputStream(partial)) {
            byte[] buffer = new byte[1 << 16];
            for (int n; (n = in.read(buffer)) > 0; ) out.write(buffer, 0, n);
        }
        if (!partial.renameTo(target)) throw new IOException("Cannot keep a copy of " + name);
        return file(target);
    }

    /** A whole file. */
    static MappableFile file(File target) throws IOException {
        ParcelFileDescriptor file = ParcelFileDescriptor.open(target, ParcelFileDescriptor.MODE_READ_ONLY);
        return new MappableFile(file, 0, target.length());
    }
}
