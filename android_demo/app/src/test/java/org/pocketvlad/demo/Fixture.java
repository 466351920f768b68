package org.pocketvlad.demo;

import android.app.Activity;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.net.Uri;
import android.os.Looper;
import android.view.View;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.Shadows;

/** Photos and files the tests share; the folder is prepared by tests/android/test_robolectric.py. */
final class Fixture {
    static final File WORK = new File(System.getProperty("pocketvlad.work"));

    private Fixture() {}

    /** The app's library, with Android's system libraries on this machine's loaded first. */
    static void loadSystemLibraries() {
        System.load(new File(WORK, "native/libpreload.so").getPath());
    }

    static byte[] photo(String name) throws IOException {
        return Files.readAllBytes(new File(WORK, "photos/" + name).toPath());
    }

    /** Makes content readable under a new address, any number of times. */
    static Uri publish(byte[] content) {
        Uri uri = Uri.parse("content://photos/" + System.nanoTime());
        Shadows.shadowOf(RuntimeEnvironment.getApplication().getContentResolver())
                .registerInputStreamSupplier(uri, () -> new ByteArrayInputStream(content));
        return uri;
    }

    /** Waits for everything given to the worker, then lets the screen draw it. */
    static void finish(ExecutorService worker) throws Exception {
        worker.submit(() -> {}).get(60, TimeUnit.SECONDS);
        Shadows.shadowOf(Looper.getMainLooper()).idle();
    }

    /** Saves what a person would see as screenshots/NAME.png. */
    static void screenshot(Activity activity, String name) throws IOException {
        View root = activity.getWindow().getDecorView();
        int width = root.getWidth();
        int height = root.getHeight();
        root.measure(View.MeasureSpec.makeMeasureSpec(width, View.MeasureSpec.EXACTLY),
                View.MeasureSpec.makeMeasureSpec(height, View.MeasureSpec.EXACTLY));
        root.layout(0, 0, width, height);
        Bitmap shot = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888);
        root.draw(new Canvas(shot));
        File folder = new File(WORK, "screenshots");
        folder.mkdirs();
        String file = name + "-sdk" + android.os.Build.VERSION.SDK_INT + ".png";
        try (FileOutputStream out = new FileOutputStream(new File(folder, file))) {
            shot.compress(Bitmap.CompressFormat.PNG, 100, out);
        }
    }
}
