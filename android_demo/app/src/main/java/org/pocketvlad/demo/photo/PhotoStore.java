package org.pocketvlad.demo.photo;

import android.content.Context;
import android.net.Uri;
import java.io.File;
import java.io.FileNotFoundException;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import org.pocketvlad.demo.R;

/**
 * The one photo the app looks at, a copy in the cache: another app's photo is read once, and it is still there when
 * the process was ended and its permission with it.
 */
public final class PhotoStore {
    private static final String NAME = "current";
    private final Context context;

    public PhotoStore(Context context) {
        this.context = context;
    }

    public File file() {
        return new File(context.getCacheDir(), NAME);
    }

    /**
     * Makes a copy of another app's photo the current one; what was there stays where that fails.
     *
     * @throws PhotoException with the reason
     */
    public void take(Uri uri) throws PhotoException {
        try (InputStream in = open(uri)) {
            keep(in);
        } catch (SecurityException e) {
            throw new PhotoException(R.string.photo_forbidden, e);
        } catch (FileNotFoundException e) {
            throw new PhotoException(R.string.photo_gone, e);
        } catch (IOException | RuntimeException e) {
            throw new PhotoException(R.string.photo_provider, e); // a provider's failure arrives as any of them
        }
    }

    /** The same for one of the app's own assets. */
    public void takeAsset(String name) throws PhotoException {
        try (InputStream in = context.getAssets().open(name)) {
            keep(in);
        } catch (IOException e) {
            throw new PhotoException(R.string.photo_gone, e);
        }
    }

    /** Makes what the camera app wrote the current photo. */
    public void takeCaptured() throws PhotoException {
        File captured = CaptureProvider.file(context);
        if (captured.length() == 0) throw new PhotoException(R.string.photo_not_taken, null);
        if (!captured.renameTo(file())) throw new PhotoException(R.string.photo_gone, null);
    }

    public void forgetCaptured() {
        CaptureProvider.file(context).delete();
    }

    private InputStream open(Uri uri) throws IOException {
        InputStream in = context.getContentResolver().openInputStream(uri);
        if (in == null) throw new FileNotFoundException("No stream for " + uri);
        return in;
    }

    private void keep(InputStream in) throws IOException {
        File partial = File.createTempFile("photo", ".part", context.getCacheDir());
        try (FileOutputStream out = new FileOutputStream(partial)) {
            byte[] buffer = new byte[1 << 16];
            for (int n; (n = in.read(buffer)) > 0; ) out.write(buffer, 0, n);
            out.close();
            if (!partial.renameTo(file())) throw new IOException("Cannot keep a copy of the photo");
        } finally {
            partial.delete(); // nothing to delete once it is renamed
        }
    }
}
