package org.pocketvlad.demo;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertTrue;
import static org.junit.Assert.fail;

import android.app.Activity;
import android.content.Intent;
import android.net.Uri;
import android.os.Bundle;
import android.provider.MediaStore;
import android.view.View;
import android.widget.ListView;
import android.widget.TextView;
import java.io.File;
import java.io.OutputStream;
import java.nio.file.Files;
import java.util.Arrays;
import org.json.JSONObject;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.Shadows;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;
import org.robolectric.annotation.GraphicsMode;
import org.robolectric.shadows.ShadowActivity;

/** The whole app with its real native library, on the finished APK's resources and assets. */
@RunWith(RobolectricTestRunner.class)
@GraphicsMode(GraphicsMode.Mode.NATIVE)
@Config(sdk = {26, 34, 35}, qualifiers = "w360dp-h720dp-xhdpi")
public class AppTest {
    @Before
    public void load() {
        Fixture.loadSystemLibraries();
    }

    private static MainActivity start() throws Exception {
        MainActivity activity = Robolectric.buildActivity(MainActivity.class).setup().get();
        Fixture.finish(activity.worker);
        return activity;
    }

    private static String text(Activity activity, int id) {
        return ((TextView) activity.findViewById(id)).getText().toString();
    }

    private static ShadowActivity.IntentForResult press(Activity activity, int button) {
        activity.findViewById(button).performClick();
        return Shadows.shadowOf(activity).getNextStartedActivityForResult();
    }

    private static void pick(MainActivity activity, byte[] content) throws Exception {
        Intent asked = press(activity, R.id.pick).intent;
        assertEquals(Intent.ACTION_GET_CONTENT, asked.getAction());
        Intent answer = new Intent().setData(Fixture.publish(content));
        Shadows.shadowOf(activity).receiveResult(asked, Activity.RESULT_OK, answer);
        Fixture.finish(activity.worker);
    }

    private static ListView matches(Activity activity) {
        return activity.findViewById(R.id.matches);
    }

    @Test
    public void aKnownPlaceIsRecognised() throws Exception {
        MainActivity activity = start();
        assertTrue(text(activity, R.id.verdict), text(activity, R.id.verdict).contains("known places"));
        Fixture.screenshot(activity, "start");
        pick(activity, Fixture.photo("known.jpg"));
        String place = new String(Fixture.photo("known.txt"), "UTF-8").trim();
        assertEquals(place, text(activity, R.id.verdict));
        assertEquals(5, matches(activity).getAdapter().getCount() - 1);
        Recognizer.Match best = (Recognizer.Match) matches(activity).getAdapter().getItem(1);
        assertEquals(place, best.label);
        assertNotNull(best.thumbnail);
        assertTrue(text(activity, R.id.times), text(activity, R.id.times).contains("model"));
        assertEquals(View.VISIBLE, activity.findViewById(R.id.query).getVisibility());
        Fixture.screenshot(activity, "known");
    }

    @Test
    public void aPlaceUnlikeAllOthersIsUnknown() throws Exception {
        MainActivity activity = start();
        pick(activity, Fixture.photo("unknown.jpg"));
        assertEquals("Unknown place", text(activity, R.id.verdict));
        Fixture.screenshot(activity, "unknown");
    }

    @Test
    public void aPhotoTurnedByItsExifIsRecognisedTheSame() throws Exception {
        MainActivity activity = start();
        pick(activity, Fixture.photo("known.png"));
        Recognizer.Match upright = (Recognizer.Match) matches(activity).getAdapter().getItem(1);
        pick(activity, Fixture.photo("turned.jpg"));
        Recognizer.Match turned = (Recognizer.Match) matches(activity).getAdapter().getItem(1);
        assertEquals(upright.row, turned.row);
        assertEquals(upright.cosine, turned.cosine, 0.02);
    }

    @Test
    public void aDamagedPhotoIsOneClearSentence() throws Exception {
        MainActivity activity = start();
        pick(activity, "this is no photo".getBytes("UTF-8"));
        assertTrue(text(activity, R.id.verdict).startsWith("This photo cannot be read"));
        Fixture.screenshot(activity, "damaged");
        pick(activity, Fixture.photo("known.jpg"));
        assertEquals(5, matches(activity).getAdapter().getCount() - 1);
    }

    @Test
    public void aPhotoFromTheCameraIsRecognised() throws Exception {
        MainActivity activity = start();
        Robolectric.setupContentProvider(CaptureProvider.class, "org.pocketvlad.demo.capture");
        Intent asked = press(activity, R.id.take).intent;
        assertEquals(MediaStore.ACTION_IMAGE_CAPTURE, asked.getAction());
        Uri target = asked.getParcelableExtra(MediaStore.EXTRA_OUTPUT);
        try (OutputStream out = activity.getContentResolver().openOutputStream(target, "rwt")) {
            out.write(Fixture.photo("known.jpg"));
        }
        Shadows.shadowOf(activity).receiveResult(asked, Activity.RESULT_OK, null);
        Fixture.finish(activity.worker);
        assertEquals(new String(Fixture.photo("known.txt"), "UTF-8").trim(), text(activity, R.id.verdict));
    }

    @Test
    public void aCancelledPickChangesNothing() throws Exception {
        MainActivity activity = start();
        String before = text(activity, R.id.verdict);
        Intent asked = press(activity, R.id.pick).intent;
        Shadows.shadowOf(activity).receiveResult(asked, Activity.RESULT_CANCELED, null);
        Fixture.finish(activity.worker);
        assertEquals(before, text(activity, R.id.verdict));
    }

    @Test
    public void theAnswerSurvivesARotation() throws Exception {
        ActivityController<MainActivity> controller = Robolectric.buildActivity(MainActivity.class).setup();
        Fixture.finish(controller.get().worker);
        pick(controller.get(), Fixture.photo("known.jpg"));
        Bundle state = new Bundle();
        controller.saveInstanceState(state).pause().stop().destroy();
        MainActivity again = Robolectric.buildActivity(MainActivity.class).setup(state).get();
        Fixture.finish(again.worker);
        assertEquals(new String(Fixture.photo("known.txt"), "UTF-8").trim(), text(again, R.id.verdict));
    }

    @Test
    public void theSelfTestPassesAndWritesItsResult() throws Exception {
        Intent intent = new Intent().putExtra("token", "t1");
        SelfTestActivity activity = Robolectric.buildActivity(SelfTestActivity.class, intent).setup().get();
        activity.worker.join(60_000);
        File file = new File(activity.getExternalFilesDir(null), SelfTestActivity.FILE);
        JSONObject result = new JSONObject(new String(Files.readAllBytes(file.toPath()), "UTF-8"));
        assertTrue(result.toString(), result.getBoolean("passed"));
        assertEquals("t1", result.getString("token"));
        assertTrue(result.getJSONArray("pictures").length() > 0);
        File copy = new File(Fixture.WORK, "screenshots/selftest-sdk" + android.os.Build.VERSION.SDK_INT + ".json");
        copy.getParentFile().mkdirs();
        Files.write(copy.toPath(), result.toString(1).getBytes("UTF-8"));
    }

    @Test
    public void anIndexOfAnotherModelAndDamagedFilesAreRefusedInWords() throws Exception {
        assertRefused("model.pte", "foreign.pvix", "another model");
        assertRefused("model.pte", "damaged.pvix", "index is damaged: rule");
        assertRefused("damaged.pte", "places.pvix", "model file is damaged");
    }

    private static void assertRefused(String program, String index, String reason) throws Exception {
        File folder = new File(Fixture.WORK, "files");
        try (MappableFile p = MappableFile.file(new File(folder, program));
                MappableFile i = MappableFile.file(new File(folder, index))) {
            new NativeRecognizer(p, i).close();
            fail(program + " with " + index + " was accepted");
        } catch (IllegalStateException e) {
            assertTrue(e.getMessage(), e.getMessage().contains(reason));
            assertFalse(e.getMessage(), e.getMessage().contains("\n"));
        }
    }

    @Test
    public void largePhotosAreDecodedSmaller() {
        assertEquals(Arrays.asList(1, 1, 2, 4, 8), Arrays.asList(PhotoReader.sampleSize(640, 480),
                PhotoReader.sampleSize(2048, 1000), PhotoReader.sampleSize(2049, 100),
                PhotoReader.sampleSize(8000, 6000), PhotoReader.sampleSize(16000, 12500)));
    }
}
