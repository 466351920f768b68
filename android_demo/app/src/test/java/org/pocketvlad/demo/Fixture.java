package org.pocketvlad.demo;

import android.app.Activity;
import android.content.res.Configuration;
import android.graphics.Bitmap;
import android.graphics.Canvas;
import android.net.Uri;
import android.os.Build;
import android.os.Looper;
import android.util.DisplayMetrics;
import android.view.View;
import android.view.ViewGroup;
import android.widget.TextView;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.time.Duration;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.junit.Assume;
import org.pocketvlad.demo.session.Session;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.Shadows;

/** Photos and files the tests share; tests/android/test_robolectric.py prepares the folder. */
public final class Fixture {
    private static final File WORK = new File(System.getProperty("pocketvlad.work", "."));

    private static final Set<Session> sessions = new HashSet<>(); // that earlier tests left open

    private Fixture() {}

    /** Loads what stands in for Android's own libraries on this machine, before the app loads its library. */
    public static void loadSystemLibraries() throws InterruptedException {
        Assume.assumeNotNull("tests/android/test_robolectric.py runs this", System.getProperty("pocketvlad.work"));
        System.load(file("native/libpreload.so").getPath());
        for (Session session : sessions) {
            if (!session.worker.isShutdown()) session.close();
            session.worker.awaitTermination(1, TimeUnit.MINUTES);
        }
        sessions.clear();
    }

    public static File file(String name) {
        return new File(WORK, name);
    }

    public static byte[] photo(String name) throws IOException {
        return Files.readAllBytes(file("photos/" + name).toPath());
    }

    public static String text(String name) throws IOException {
        return new String(Files.readAllBytes(file(name).toPath()), StandardCharsets.UTF_8);
    }

    /** The place a photo shows, from the text file beside it. */
    public static String place(String name) throws IOException {
        return new String(photo(name + ".txt"), StandardCharsets.UTF_8);
    }

    /** Makes content readable under a new address, any number of times. */
    public static Uri publish(byte[] content) {
        return publish(() -> new ByteArrayInputStream(content));
    }

    public static Uri publish(Supplier<InputStream> content) {
        Uri uri = Uri.parse("content://photos/" + System.nanoTime());
        Shadows.shadowOf(RuntimeEnvironment.getApplication().getContentResolver())
                .registerInputStreamSupplier(uri, content);
        return uri;
    }

    /** Waits for everything given to the app's thread, then lets the screen show it and fade it in. */
    public static void settle(Session session) throws Exception {
        sessions.add(session);
        settle(session.worker);
    }

    private static void settle(ExecutorService worker) throws Exception {
        for (int i = 0; i < 4; i++) { // what is shown may ask for more
            worker.submit(() -> {}).get(60, TimeUnit.SECONDS);
            Shadows.shadowOf(Looper.getMainLooper()).idleFor(Duration.ofSeconds(1));
        }
    }

    public static String text(Activity activity, int id) {
        return ((TextView) activity.findViewById(id)).getText().toString();
    }

    public static String text(View view) {
        return ((TextView) view).getText().toString();
    }

    /** Keeps a measured figure beside the screenshots. */
    public static void note(String name, String line) throws IOException {
        keep(name, "txt", line.getBytes(StandardCharsets.UTF_8));
    }

    /** Keeps a file beside the screenshots, as NAME-sdkN.KIND. */
    public static void keep(String name, String kind, byte[] content) throws IOException {
        File file = file("screenshots/" + name + "-sdk" + Build.VERSION.SDK_INT + "." + kind);
        file.getParentFile().mkdirs();
        Files.write(file.toPath(), content);
    }

    public static boolean visible(Activity activity, int id) {
        return activity.findViewById(id).getVisibility() == View.VISIBLE;
    }

    public static int matches(Activity activity) {
        return ((ViewGroup) activity.findViewById(R.id.matches)).getChildCount();
    }

    /** The card of match {@code rank}, 0 the best. */
    public static View match(Activity activity, int rank) {
        return ((ViewGroup) activity.findViewById(R.id.matches)).getChildAt(rank);
    }

    /** Saves what a person would see as screenshots/NAME-sdkN.png. */
    public static Bitmap screenshot(Activity activity, String name) throws IOException {
        DisplayMetrics metrics = activity.getResources().getDisplayMetrics();
        Configuration screen = activity.getResources().getConfiguration();
        int width = Math.round(screen.screenWidthDp * metrics.density);
        int height = Math.round(screen.screenHeightDp * metrics.density);
        View root = activity.getWindow().getDecorView();
        for (int i = 0; i < 2; i++) { // a view that was added meanwhile asks for a second layout
            root.measure(View.MeasureSpec.makeMeasureSpec(width, View.MeasureSpec.EXACTLY),
                    View.MeasureSpec.makeMeasureSpec(height, View.MeasureSpec.EXACTLY));
            root.layout(0, 0, width, height);
            Shadows.shadowOf(Looper.getMainLooper()).idle();
        }
        Bitmap shot = Bitmap.createBitmap(width, height, Bitmap.Config.ARGB_8888);
        root.draw(new Canvas(shot));
        File png = file("screenshots/" + name + "-sdk" + Build.VERSION.SDK_INT + ".png");
        png.getParentFile().mkdirs();
        try (FileOutputStream out = new FileOutputStream(png)) {
            shot.compress(Bitmap.CompressFormat.PNG, 100, out);
        }
        return shot;
    }
}
