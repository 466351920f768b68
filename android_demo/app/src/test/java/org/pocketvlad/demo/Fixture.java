package org.pocketvlad.demo;

import android.app.Activity;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.net.Uri;
import android.os.Build;
import android.os.Looper;
import android.util.DisplayMetrics;
import android.view.View;
import android.widget.ListView;
import android.widget.TextView;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.Shadows;

/** Photos and files the tests share; tests/android/test_robolectric.py prepares the folder. */
final class Fixture {
    private static final File WORK = new File(System.getProperty("pocketvlad.work", "."));

    private Fixture() {}

    /** Loads what stands in for Android's own libraries on this machine, before the app loads its library. */
    static void loadSystemLibraries() {
        System.load(file("native/libpreload.so").getPath());
    }

    static File file(String name) {
        return new File(WORK, name);
    }

    static byte[] photo(String name) throws IOException {
        return Files.readAllBytes(file("photos/" + name).toPath());
    }

    static String text(String name) throws IOException {
        return new String(Files.readAllBytes(file(name).toPath()), StandardCharsets.UTF_8);
    }

    /** The place a photo shows, from the text file beside it. */
    static String place(String name) throws IOException {
        return new String(photo(name + ".txt"), StandardCharsets.UTF_8);
    }

    /** Makes content readable under a new address, any number of times. */
    static Uri publish(byte[] content) {
        return publish(() -> new ByteArrayInputStream(content));
    }

    static Uri publish(Supplier<InputStream> content) {
        Uri uri = Uri.parse("content://photos/" + System.nanoTime());
        Shadows.shadowOf(RuntimeEnvironment.getApplication().getContentResolver())
                .registerInputStreamSupplier(uri, content);
        return uri;
    }

    /** Waits for everything given to the app's thread, then lets the screen show it. */
    static void settle(MainActivity activity) throws Exception {
        activity.session.worker.submit(() -> {}).get(60, TimeUnit.SECONDS);
        Shadows.shadowOf(Looper.getMainLooper()).idle();
    }

    static String text(Activity activity, int id) {
        return ((TextView) activity.findViewById(id)).getText().toString();
    }

    static boolean visible(Activity activity, int id) {
        return activity.findViewById(id).getVisibility() == View.VISIBLE;
    }

    static int matches(Activity activity) {
        return list(activity).getAdapter().getCount() - 1; // without the header
    }

    /** Match {@code rank} of the list, 0 the best. */
    static Recognizer.Match match(Activity activity, int rank) {
        return (Recognizer.Match) list(activity).getAdapter().getItem(rank + 1);
    }

    private static ListView list(Activity activity) {
        return activity.findViewById(R.id.matches);
    }

    /** Saves what a person would see as screenshots/NAME-sdkN.png. */
    static void screenshot(Activity activity, String name) throws IOException {
        View root = activity.getWindow().getDecorView();
        DisplayMetrics metrics = activity.getResources().getDisplayMetrics();
        int width = Math.round(activity.getResources().getConfiguration().screenWidthDp * metrics.density);
        int height = Math.round(activity.getResources().getConfiguration().screenHeightDp * metrics.density);
        root.measure(View.MeasureSpec.makeMeasureSpec(width, View.MeasureSpec.EXACTLY),
                View.MeasureSpec.makeMeasureSpec(height, View.MeasureSpec.EXACTLY));
        root.layout(0, 0, width, height);
        Bitmap shot = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888);
        root.draw(new Canvas(shot));
        File png = file("screenshots/" + name + "-sdk" + Build.VERSION.SDK_INT + ".png");
        png.getParentFile().mkdirs();
        try (FileOutputStream out = new FileOutputStream(png)) {
            shot.compress(Bitmap.CompressFormat.PNG, 100, out);
        }
    }
}
