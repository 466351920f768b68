package org.pocketvlad.demo.recognizer;

import android.content.Context;
import android.content.pm.PackageManager;
import android.content.res.AssetFileDescriptor;
import android.os.ParcelFileDescriptor;
import java.io.Closeable;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;

/** Part of an open file that native code can map: an uncompressed asset inside the APK itself. */
public final class MappableFile implements Closeable {
    private static final int PAGE = 4096; // bytes

    public final long offset;
    public final long length;
    private final ParcelFileDescriptor file;

    private MappableFile(ParcelFileDescriptor file, long offset, long length) {
        this.file = file;
        this.offset = offset;
        this.length = length;
    }

    /** Opens an asset in place; where it is compressed or lies unaligned, a copy made once for each installed version. */
    public static MappableFile asset(Context context, String name) throws IOException {
        AssetFileDescriptor asset = openInPlace(context, name);
        if (asset == null) return copied(context, name);
        if (!isAligned(asset.getStartOffset())) {
            asset.close();
            return copied(context, name);
        }
        return new MappableFile(asset.getParcelFileDescriptor(), asset.getStartOffset(), asset.getLength());
    }

    /** Other packagers than ours leave an asset at any multiple of 4; programs are read where they are mapped. */
    static boolean isAligned(long offset) {
        return offset % PAGE == 0;
    }

    public int descriptor() {
        return file.getFd();
    }

    @Override
    public void close() throws IOException {
        file.close();
    }

    /** Null where the asset is compressed or not in a file of its own. */
    private static AssetFileDescriptor openInPlace(Context context, String name) {
        try {
            return context.getAssets().openFd(name);
        } catch (IOException | UnsupportedOperationException e) {
            return null;
        }
    }

    private static MappableFile copied(Context context, String name) throws IOException {
        File copy = new File(context.getNoBackupFilesDir(), installed(context) + "-" + name);
        if (!copy.isFile()) copy(context, name, copy);
        return file(copy);
    }

    /** A whole file. */
    public static MappableFile file(File whole) throws IOException {
        ParcelFileDescriptor file = ParcelFileDescriptor.open(whole, ParcelFileDescriptor.MODE_READ_ONLY);
        return new MappableFile(file, 0, whole.length());
    }

    /** When this version was installed, in milliseconds. */
    private static long installed(Context context) throws IOException {
        try {
            return context.getPackageManager().getPackageInfo(context.getPackageName(), 0).lastUpdateTime;
        } catch (PackageManager.NameNotFoundException e) {
            throw new IOException("The system does not know this app", e);
        }
    }

    /** Writes all of it or nothing, and drops the copies of earlier versions. */
    private static void copy(Context context, String name, File copy) throws IOException {
        File[] earlier = copy.getParentFile().listFiles((folder, file) -> file.endsWith("-" + name));
        if (earlier != null) for (File file : earlier) file.delete();
        File partial = File.createTempFile("asset", ".part", copy.getParentFile());
        try (InputStream in = context.getAssets().open(name);
                FileOutputStream out = new FileOutputStream(partial)) {
            byte[] buffer = new byte[1 << 16];
            for (int n; (n = in.read(buffer)) > 0; ) out.write(buffer, 0, n);
            out.getFD().sync();
            if (!partial.renameTo(copy)) throw new IOException("Cannot keep a copy of " + name);
        } finally {
            partial.delete(); // nothing to delete once it is renamed
        }
    }
}
