package org.pocketvlad.demo;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNotSame;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertTrue;
import static org.junit.Assume.assumeTrue;

import android.app.Activity;
import android.content.Intent;
import android.content.res.Configuration;
import android.graphics.drawable.BitmapDrawable;
import android.net.Uri;
import android.os.Bundle;
import android.provider.MediaStore;
import android.widget.ImageView;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.Shadows;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;
import org.robolectric.shadows.ShadowActivity;

/** The whole app with its real native library, on the finished APK's resources and assets. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = {26, 34, 35}, qualifiers = "w360dp-h760dp-xhdpi")
public class AppTest {
    @Before
    public void load() {
        Fixture.loadSystemLibraries();
    }

    private static MainActivity start() throws Exception {
        MainActivity activity = Robolectric.buildActivity(MainActivity.class).setup().get();
        Fixture.settle(activity);
        return activity;
    }

    private static Intent press(Activity activity, int button) {
        activity.findViewById(button).performClick();
        ShadowActivity.IntentForResult asked = Shadows.shadowOf(activity).getNextStartedActivityForResult();
        return asked == null ? null : asked.intent;
    }

    private static void answer(MainActivity activity, Intent asked, int result, Uri photo) throws Exception {
        Intent data = photo == null ? null : new Intent().setData(photo);
        Shadows.shadowOf(activity).receiveResult(asked, result, data);
        Fixture.settle(activity);
    }

    private static void pick(MainActivity activity, byte[] content) throws Exception {
        Intent asked = press(activity, R.id.pick);
        assertEquals(Intent.ACTION_GET_CONTENT, asked.getAction());
        answer(activity, asked, Activity.RESULT_OK, Fixture.publish(content));
    }

    private static String verdict(Activity activity) {
        return Fixture.text(activity, R.id.verdict);
    }

    @Test
    public void itSaysWhatItKnows() throws Exception {
        MainActivity activity = start();
        assertEquals("Street scenes", Fixture.text(activity, R.id.title));
        assertEquals("Where are you?", verdict(activity));
        String detail = Fixture.text(activity, R.id.detail);
        assertTrue(detail, detail.matches("(?s)Take or pick a photo.*one of \\d+ photos.*Model \\d+\\.\\d MB.*"));
        assertFalse(Fixture.visible(activity, R.id.progress));
        assertFalse(Fixture.visible(activity, R.id.times));
        Fixture.screenshot(activity, "start");
    }

    @Test
    public void aKnownPlaceIsRecognised() throws Exception {
        MainActivity activity = start();
        pick(activity, Fixture.photo("known.jpg"));
        assertEquals(Fixture.place("known.jpg"), verdict(activity));
        assertEquals(5, Fixture.matches(activity));
        Recognizer.Match best = Fixture.match(activity, 0);
        assertEquals(Fixture.place("known.jpg"), best.label);
        assertNotNull(best.thumbnail);
        assertTrue(best.cosine >= Fixture.match(activity, 4).cosine);
        assertTrue(Fixture.text(activity, R.id.time_inference).endsWith("ms\nmodel"));
        assertTrue(Fixture.visible(activity, R.id.times) && Fixture.visible(activity, R.id.query));
        Fixture.screenshot(activity, "known");
    }

    @Test
    public void aPhotoOfARealCameraIsRecognised() throws Exception {
        assumeTrue("no real photos on this machine", Fixture.file("photos/real.jpg").exists());
        MainActivity activity = start();
        pick(activity, Fixture.photo("real.jpg"));
        assertEquals(Fixture.place("real.jpg"), verdict(activity));
        Fixture.screenshot(activity, "real");
    }

    @Test
    public void aPlaceUnlikeAllOthersIsUnknown() throws Exception {
        MainActivity activity = start();
        pick(activity, Fixture.photo("unknown.jpg"));
        assertEquals("Unknown place", verdict(activity));
        assertTrue(Fixture.text(activity, R.id.detail).contains("a known place has"));
        assertEquals(5, Fixture.matches(activity));
        Fixture.screenshot(activity, "unknown");
    }

    @Test
    public void aPhotoTurnedByItsExifIsSeenUpright() throws Exception {
        MainActivity activity = start();
        pick(activity, Fixture.photo("known.png"));
        Recognizer.Match upright = Fixture.match(activity, 0);
        for (int orientation = 2; orientation <= 8; orientation++) {
            pick(activity, Fixture.photo("turned" + orientation + ".jpg"));
            Recognizer.Match turned = Fixture.match(activity, 0);
            assertEquals("orientation " + orientation, upright.row, turned.row);
            assertEquals("orientation " + orientation, upright.cosine, turned.cosine, 0.03);
            ImageView query = activity.findViewById(R.id.query);
            BitmapDrawable shown = (BitmapDrawable) query.getDrawable();
            assertTrue("landscape again", shown.getBitmap().getWidth() > shown.getBitmap().getHeight());
        }
        Fixture.screenshot(activity, "turned");
    }

    @Test
    public void aDamagedPhotoIsOneClearSentence() throws Exception {
        MainActivity activity = start();
        byte[] jpeg = Fixture.photo("known.jpg");
        byte[][] damaged = {"this is no photo".getBytes(StandardCharsets.UTF_8), {}, Arrays.copyOf(jpeg, 100)};
        for (byte[] content : damaged) {
            pick(activity, content);
            assertEquals("This photo cannot be read", verdict(activity));
            assertFalse(Fixture.text(activity, R.id.detail).isEmpty());
            assertEquals(0, Fixture.matches(activity));
        }
        Fixture.screenshot(activity, "damaged");
        pick(activity, jpeg);
        assertEquals(Fixture.place("known.jpg"), verdict(activity));
    }

    @Test
    public void aPhotoThatIsGoneOrForbiddenSaysSo() throws Exception {
        MainActivity activity = start();
        Uri gone = Fixture.publish(() -> new java.io.InputStream() {
            @Override
            public int read() throws IOException {
                throw new IOException("gone");
            }
        });
        answer(activity, press(activity, R.id.pick), Activity.RESULT_OK, gone);
        assertEquals("This photo cannot be read", verdict(activity));
        Uri forbidden = Fixture.publish(() -> {
            throw new SecurityException("no permission");
        });
        answer(activity, press(activity, R.id.pick), Activity.RESULT_OK, forbidden);
        assertEquals("This app may no longer see it. Pick it again.", Fixture.text(activity, R.id.detail));
    }

    @Test
    public void aLargePhotoIsDecodedSmaller() throws Exception {
        MainActivity activity = start();
        pick(activity, Fixture.photo("large.jpg"));
        assertEquals(Fixture.place("known.jpg"), verdict(activity));
        ImageView query = activity.findViewById(R.id.query);
        assertEquals(750, ((BitmapDrawable) query.getDrawable()).getBitmap().getWidth());
    }

    @Test
    public void aPhotoFromTheCameraIsRecognised() throws Exception {
        MainActivity activity = start();
        Robolectric.setupContentProvider(CaptureProvider.class, CaptureProvider.photo(activity).getAuthority());
        Intent asked = press(activity, R.id.take);
        assertEquals(MediaStore.ACTION_IMAGE_CAPTURE, asked.getAction());
        assertTrue((asked.getFlags() & Intent.FLAG_GRANT_WRITE_URI_PERMISSION) != 0);
        Uri target = asked.getParcelableExtra(MediaStore.EXTRA_OUTPUT);
        try (OutputStream out = activity.getContentResolver().openOutputStream(target, "rwt")) {
            out.write(Fixture.photo("known.jpg"));
        }
        answer(activity, asked, Activity.RESULT_OK, null);
        assertEquals(Fixture.place("known.jpg"), verdict(activity));

        Intent again = press(activity, R.id.take);
        answer(activity, again, Activity.RESULT_OK, null); // a camera app that saved nothing
        assertEquals("This photo cannot be read", verdict(activity));
    }

    @Test
    public void withoutACameraAppItPointsToTheOtherButton() throws Exception {
        MainActivity activity = start();
        Shadows.shadowOf(RuntimeEnvironment.getApplication()).checkActivities(true);
        assertNull(press(activity, R.id.take));
        assertEquals("No camera app answers", verdict(activity));
        assertNull(press(activity, R.id.pick));
        assertEquals("No gallery app answers", verdict(activity));
    }

    @Test
    public void aCancelledPickChangesNothing() throws Exception {
        MainActivity activity = start();
        String before = verdict(activity);
        answer(activity, press(activity, R.id.pick), Activity.RESULT_CANCELED, null);
        answer(activity, press(activity, R.id.pick), Activity.RESULT_OK, null);
        assertEquals(before, verdict(activity));
    }

    @Test
    public void theAnswerAndTheOpenModelSurviveARotation() throws Exception {
        ActivityController<MainActivity> controller = Robolectric.buildActivity(MainActivity.class).setup();
        MainActivity first = controller.get();
        Fixture.settle(first);
        pick(first, Fixture.photo("known.jpg"));
        MainActivity turned = turn(controller);
        assertNotSame(first, turned);
        assertSame("neither opened nor recognised again", first.session, turned.session);
        assertEquals(Fixture.place("known.jpg"), verdict(turned));
        assertEquals(5, Fixture.matches(turned));
        Fixture.screenshot(turned, "landscape");
    }

    @Test
    public void anAnswerThatComesAfterARotationIsShown() throws Exception {
        ActivityController<MainActivity> controller = Robolectric.buildActivity(MainActivity.class).setup();
        Intent asked = press(controller.get(), R.id.pick);
        Intent photo = new Intent().setData(Fixture.publish(Fixture.photo("known.jpg")));
        Shadows.shadowOf(controller.get()).receiveResult(asked, Activity.RESULT_OK, photo);
        MainActivity turned = turn(controller);
        Fixture.settle(turned);
        assertEquals(Fixture.place("known.jpg"), verdict(turned));
    }

    /** Lays the phone on its side, which makes a new activity. */
    private static MainActivity turn(ActivityController<MainActivity> controller) {
        Configuration upright = controller.get().getResources().getConfiguration();
        Configuration turned = new Configuration(upright);
        turned.orientation = Configuration.ORIENTATION_LANDSCAPE;
        turned.screenWidthDp = upright.screenHeightDp;
        turned.screenHeightDp = upright.screenWidthDp;
        controller.configurationChange(turned);
        return controller.get();
    }

    @Test
    public void aProcessTheSystemEndedShowsThePhotoAgain() throws Exception {
        ActivityController<MainActivity> controller = Robolectric.buildActivity(MainActivity.class).setup();
        Fixture.settle(controller.get());
        pick(controller.get(), Fixture.photo("known.jpg"));
        Bundle saved = new Bundle();
        controller.saveInstanceState(saved).pause().stop().destroy();
        MainActivity again = Robolectric.buildActivity(MainActivity.class).setup(saved).get();
        assertNotSame(controller.get().session, again.session);
        Fixture.settle(again);
        assertEquals(Fixture.place("known.jpg"), verdict(again));
    }

    @Test
    @Config(qualifiers = "+night")
    public void itIsReadableAtNight() throws Exception {
        MainActivity activity = start();
        pick(activity, Fixture.photo("known.jpg"));
        int background = activity.getColor(R.color.surface);
        for (int color : new int[] {R.color.text, R.color.muted, R.color.known, R.color.unknown}) {
            assertTrue(contrast(activity.getColor(color), background) >= 4.5); // WCAG 2.1 AA for text
        }
        Fixture.screenshot(activity, "night");
    }

    @Test
    public void itIsReadableByDay() throws Exception {
        MainActivity activity = start();
        int background = activity.getColor(R.color.surface);
        for (int color : new int[] {R.color.text, R.color.muted, R.color.known, R.color.unknown}) {
            assertTrue(contrast(activity.getColor(color), background) >= 4.5);
        }
        assertTrue(contrast(activity.getColor(R.color.on_brand), activity.getColor(R.color.brand)) >= 4.5);
    }

    private static double contrast(int a, int b) {
        double x = android.graphics.Color.luminance(a);
        double y = android.graphics.Color.luminance(b);
        return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
    }

    @Test
    public void largeTypeFits() throws Exception {
        RuntimeEnvironment.setFontScale(1.5f);
        MainActivity activity = start();
        pick(activity, Fixture.photo("known.jpg"));
        Fixture.screenshot(activity, "large-type");
        assertEquals(Fixture.place("known.jpg"), verdict(activity));
    }
}
