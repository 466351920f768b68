package org.pocketvlad.demo.ui;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;
import static org.pocketvlad.demo.ui.App.detail;
import static org.pocketvlad.demo.ui.App.pick;
import static org.pocketvlad.demo.ui.App.settle;
import static org.pocketvlad.demo.ui.App.start;
import static org.pocketvlad.demo.ui.App.verdict;

import android.Manifest;
import android.app.Activity;
import android.content.Intent;
import android.content.pm.PackageManager;
import android.database.sqlite.SQLiteException;
import android.net.Uri;
import android.os.OperationCanceledException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.pocketvlad.demo.Fixture;
import org.pocketvlad.demo.R;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.annotation.Config;

/** Photos that cannot be had, and photos in quick succession: a sentence or the right answer, never a crash. */
@RunWith(RobolectricTestRunner.class)
@Config(qualifiers = "w360dp-h760dp-xhdpi")
public class FailureTest {
    @Before
    public void load() throws Exception {
        Fixture.loadSystemLibraries();
    }

    @Test
    public void aDamagedPhotoIsOneClearSentence() throws Exception {
        MainActivity activity = start();
        byte[] jpeg = Fixture.photo("known.jpg");
        byte[][] damaged = {"this is no photo".getBytes(StandardCharsets.UTF_8), {}, Arrays.copyOf(jpeg, 100)};
        for (byte[] content : damaged) {
            pick(activity, content);
            assertEquals("This photo cannot be read", verdict(activity));
            assertFalse(detail(activity).isEmpty());
            assertEquals(0, Fixture.matches(activity));
        }
        Fixture.screenshot(activity, "damaged");
        pick(activity, jpeg);
        assertEquals(Fixture.place("known.jpg"), verdict(activity));
    }

    /** What Android makes of a provider's failure in another process, and more. */
    @Test
    public void aProviderThatThrowsAnythingIsASentence() throws Exception {
        MainActivity activity = start();
        RuntimeException[] failures = {new IllegalArgumentException("x"), new UnsupportedOperationException(),
            new SQLiteException(), new OperationCanceledException(), new NullPointerException(),
            new IllegalStateException()};
        for (RuntimeException failure : failures) {
            pick(activity, Fixture.publish(() -> {
                throw failure;
            }));
            assertEquals("This photo cannot be read", verdict(activity));
            assertTrue(detail(activity), detail(activity).startsWith("The app that keeps it"));
        }
        pick(activity, Fixture.publish(() -> {
            throw new SecurityException("no permission");
        }));
        assertEquals("This app may no longer see it. Pick it again.", detail(activity));
        pick(activity, Fixture.publish(() -> {
            throw new OutOfMemoryError();
        }));
        assertEquals("It is too large for this phone's memory.", detail(activity));
        pick(activity, Fixture.publish(() -> new InputStream() {
            @Override
            public int read() throws IOException {
                throw new IOException("gone");
            }
        }));
        assertEquals("This photo cannot be read", verdict(activity));
    }

    @Test
    public void anotherAppsPhotoIsReadOnce() throws Exception {
        MainActivity activity = start();
        AtomicInteger opened = new AtomicInteger();
        byte[] jpeg = Fixture.photo("turned6.jpg");
        pick(activity, Fixture.publish(() -> {
            opened.incrementAndGet();
            return new java.io.ByteArrayInputStream(jpeg);
        }));
        assertEquals(Fixture.place("known.jpg"), verdict(activity));
        assertEquals(1, opened.get());
    }

    @Test
    public void ofTwoPhotosInQuickSuccessionTheSecondIsAnswered() throws Exception {
        MainActivity activity = start();
        Uri first = Fixture.publish(Fixture.photo("known.jpg"));
        Uri second = Fixture.publish(Fixture.photo("unknown.jpg"));
        App.reply(activity, App.press(activity, R.id.pick), Activity.RESULT_OK, first);
        App.reply(activity, App.press(activity, R.id.pick), Activity.RESULT_OK, second);
        assertTrue(Fixture.visible(activity, R.id.progress));
        settle(activity);
        assertEquals("Unknown place", verdict(activity));
        assertFalse(Fixture.visible(activity, R.id.progress));
    }

    @Test
    public void withoutTheCamerasPermissionItSaysHowToGiveIt() throws Exception {
        MainActivity activity = start();
        String asked = App.press(activity, R.id.take).getAction();
        assertTrue(asked, asked.endsWith("REQUEST_PERMISSIONS"));
        String[] permission = {Manifest.permission.CAMERA};
        activity.onRequestPermissionsResult(3, permission, new int[] {PackageManager.PERMISSION_DENIED});
        assertEquals("The app may not use the camera", verdict(activity));
        activity.onRequestPermissionsResult(3, new String[0], new int[0]); // interrupted
        activity.onRequestPermissionsResult(3, permission, new int[] {PackageManager.PERMISSION_GRANTED});
        Intent camera = org.robolectric.Shadows.shadowOf(activity).getNextStartedActivityForResult().intent;
        assertEquals(android.provider.MediaStore.ACTION_IMAGE_CAPTURE, camera.getAction());
    }
}
