package org.pocketvlad.demo.ui;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotEquals;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNotSame;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertTrue;
import static org.junit.Assume.assumeTrue;
import static org.pocketvlad.demo.ui.App.answer;
import static org.pocketvlad.demo.ui.App.detail;
import static org.pocketvlad.demo.ui.App.pick;
import static org.pocketvlad.demo.ui.App.press;
import static org.pocketvlad.demo.ui.App.settle;
import static org.pocketvlad.demo.ui.App.start;
import static org.pocketvlad.demo.ui.App.verdict;

import android.app.Activity;
import android.app.AlertDialog;
import android.content.Intent;
import android.content.res.Configuration;
import android.graphics.Bitmap;
import android.graphics.Color;
import android.graphics.drawable.BitmapDrawable;
import android.net.Uri;
import android.os.Bundle;
import android.provider.MediaStore;
import android.view.View;
import android.view.ViewGroup;
import android.widget.ImageView;
import android.widget.SeekBar;
import java.io.OutputStream;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.pocketvlad.demo.Fixture;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.photo.CaptureProvider;
import org.pocketvlad.demo.recognizer.Match;
import org.pocketvlad.demo.session.Answered;
import org.pocketvlad.demo.session.Session;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.Shadows;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;
import org.robolectric.shadows.ShadowAlertDialog;

/** The whole app with its real native library, on the finished APK's resources and assets. */
@RunWith(RobolectricTestRunner.class)
@Config(qualifiers = "w360dp-h760dp-xhdpi")
public class AppTest {
    @Before
    public void load() throws Exception {
        Fixture.loadSystemLibraries();
        App.allowCamera();
    }

    private static Match match(MainActivity activity, int rank) {
        return ((Answered) activity.session.state()).recognition.matches.get(rank);
    }

    private static Bitmap shown(Activity activity) {
        return ((BitmapDrawable) ((ImageView) activity.findViewById(R.id.query)).getDrawable()).getBitmap();
    }

    @Test
    public void itSaysWhatItKnowsAndOffersExamples() throws Exception {
        MainActivity activity = start();
        assertEquals("Street scenes", Fixture.text(activity, R.id.title));
        assertEquals("Where are you?", verdict(activity));
        assertTrue(detail(activity), detail(activity).matches("(?s)See which of \\d+ photos.*nothing leaves.*"));
        assertFalse(Fixture.visible(activity, R.id.progress));
        assertFalse(Fixture.visible(activity, R.id.times));
        Fixture.screenshot(activity, "start");
        ViewGroup examples = activity.findViewById(R.id.examples);
        assertEquals(3, examples.getChildCount());
        examples.getChildAt(0).performClick();
        settle(activity);
        Answered answer = (Answered) activity.session.state();
        assertTrue("a first run shows a success", answer.verdict.known);
    }

    @Test
    public void aKnownPlaceIsRecognised() throws Exception {
        MainActivity activity = start();
        pick(activity, Fixture.photo("known.jpg"));
        assertEquals(Fixture.place("known.jpg"), verdict(activity));
        assertEquals(Session.MATCHES, Fixture.matches(activity));
        Match best = match(activity, 0);
        assertEquals(Fixture.place("known.jpg"), best.label);
        assertNotNull(best.thumbnail);
        assertTrue(best.cosine >= match(activity, 4).cosine);
        String card = Fixture.match(activity, 0).getContentDescription().toString();
        assertTrue(card, card.startsWith("Match 1: " + Fixture.place("known.jpg")));
        assertTrue(Fixture.text(activity, R.id.times), Fixture.text(activity, R.id.times).contains("ms in all"));
        assertTrue(Fixture.visible(activity, R.id.times) && Fixture.visible(activity, R.id.query));
        Bitmap seen = Fixture.screenshot(activity, "known");
        for (View photo : new View[] {activity.findViewById(R.id.query),
            Fixture.match(activity, 0).findViewById(R.id.thumbnail)}) {
            int[] at = new int[2];
            photo.getLocationInWindow(at);
            assertEquals("a rounded corner", background(seen), background(seen, at[0] + 1, at[1] + 1), 15); // card or page
            assertNotEquals("a photo", background(seen), background(seen, at[0] + photo.getWidth() / 2,
                    at[1] + photo.getHeight() / 2), 15);
        }
    }

    private static double background(Bitmap shot) {
        return background(shot, 1, shot.getHeight() / 2);
    }

    private static double background(Bitmap shot, int x, int y) {
        return 100 * Color.luminance(shot.getPixel(x, y));
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
    public void aPlaceUnlikeAllOthersIsUnknownUntilTheThresholdIsLowered() throws Exception {
        MainActivity activity = start();
        pick(activity, Fixture.photo("unknown.jpg"));
        assertEquals("Unknown place", verdict(activity));
        assertEquals("Known from 0.90", Fixture.text(activity, R.id.threshold));
        assertEquals(Session.MATCHES, Fixture.matches(activity));
        Fixture.screenshot(activity, "unknown");

        activity.findViewById(R.id.threshold).performClick();
        AlertDialog dialog = (AlertDialog) ShadowAlertDialog.getLatestDialog();
        SeekBar bar = dialog.findViewById(R.id.threshold_bar);
        assertEquals(90, bar.getProgress());
        bar.setProgress(0);
        settle(activity);
        assertEquals("0.00", Fixture.text(dialog.findViewById(R.id.threshold_value)));
        boolean positive = match(activity, 0).cosine >= 0;
        assertEquals(positive, !"Unknown place".equals(verdict(activity)));
        Session next = new Session(activity);
        assertEquals("kept for the next start", 0, next.threshold(), 1e-6);
        next.close();
        dialog.getButton(AlertDialog.BUTTON_NEUTRAL).performClick();
        settle(activity);
        assertEquals("Known from 0.90", Fixture.text(activity, R.id.threshold));
        assertEquals("Unknown place", verdict(activity));
    }

    @Test
    public void aMatchIsComparedWholeAndEnlarged() throws Exception {
        ActivityController<MainActivity> controller = Robolectric.buildActivity(MainActivity.class).setup();
        MainActivity activity = controller.get();
        settle(activity);
        pick(activity, Fixture.photo("known.jpg"));
        Fixture.match(activity, 1).performClick();
        assertFalse("covered", Fixture.visible(activity, R.id.page));
        Fixture.screenshot(activity, "compare");
        String caption = Fixture.text(activity, R.id.right_caption);
        assertTrue(caption, caption.contains("cosine"));
        ZoomImage photo = activity.findViewById(R.id.left);
        photo.zoomTo(4, 10, 10);
        assertEquals(4, photo.zoom(), 0);
        photo.zoomTo(100, 0, 0);
        assertEquals("no nearer than this", 8, photo.zoom(), 0);
        photo.zoomTo(0, 0, 0);
        assertEquals(1, photo.zoom(), 0);
        MainActivity turned = turn(controller);
        settle(turned);
        assertNotNull("still comparing", turned.page);
        turned.findViewById(R.id.back).performClick();
        assertNull(turned.page);
        assertTrue(Fixture.visible(turned, R.id.page));
        assertFalse(turned.isFinishing());
    }

    @Test
    public void aPhotoTurnedByItsExifIsSeenUpright() throws Exception {
        MainActivity activity = start();
        pick(activity, Fixture.photo("known.png"));
        Match upright = match(activity, 0);
        for (int orientation = 2; orientation <= 8; orientation++) {
            pick(activity, Fixture.photo("turned" + orientation + ".jpg"));
            Match turned = match(activity, 0);
            assertEquals("orientation " + orientation, upright.row, turned.row);
            assertEquals("orientation " + orientation, upright.cosine, turned.cosine, 0.03);
            assertTrue("landscape again", shown(activity).getWidth() > shown(activity).getHeight());
        }
    }

    @Test
    public void aLargePhotoIsDecodedSmaller() throws Exception {
        MainActivity activity = start();
        pick(activity, Fixture.photo("large.jpg"));
        assertEquals(Fixture.place("known.jpg"), verdict(activity));
        assertEquals(750, shown(activity).getWidth());
    }

    @Test
    public void aPhotoFromTheCameraIsRecognised() throws Exception {
        MainActivity activity = start();
        Intent asked = takeInto(activity, Fixture.photo("known.jpg"));
        answer(activity, asked, Activity.RESULT_OK, null);
        assertEquals(Fixture.place("known.jpg"), verdict(activity));
        assertFalse("it does not stay in the cache", CaptureProvider.file(activity).exists());

        Intent again = press(activity, R.id.take);
        answer(activity, again, Activity.RESULT_OK, null); // a camera app that saved nothing
        assertEquals("This photo cannot be read", verdict(activity));
        assertEquals("The camera app has saved no photo.", detail(activity));
    }

    /** The camera app opens and writes; its answer is still to come. */
    private static Intent takeInto(Activity activity, byte[] photo) throws Exception {
        Robolectric.setupContentProvider(CaptureProvider.class, CaptureProvider.photo(activity).getAuthority());
        Intent asked = press(activity, R.id.take);
        assertEquals(MediaStore.ACTION_IMAGE_CAPTURE, asked.getAction());
        assertTrue((asked.getFlags() & Intent.FLAG_GRANT_WRITE_URI_PERMISSION) != 0);
        Uri target = asked.getParcelableExtra(MediaStore.EXTRA_OUTPUT);
        try (OutputStream out = activity.getContentResolver().openOutputStream(target, "rwt")) {
            out.write(photo);
        }
        return asked;
    }

    @Test
    public void aSharedPhotoIsRecognised() throws Exception {
        Intent shared = new Intent(Intent.ACTION_SEND).setType("image/jpeg");
        MainActivity activity = start(shared.putExtra(Intent.EXTRA_STREAM, Fixture.publish(Fixture.photo("known.jpg"))));
        assertEquals(Fixture.place("known.jpg"), verdict(activity));
        for (Intent odd : new Intent[] {new Intent(Intent.ACTION_SEND),
            new Intent(Intent.ACTION_SEND).putExtra(Intent.EXTRA_STREAM, "text"),
            new Intent(Intent.ACTION_SEND).putExtra(Intent.EXTRA_STREAM, Uri.parse("file:///etc/hosts"))}) {
            activity.onNewIntent(odd);
            settle(activity);
            assertEquals("The other app has shared no photo.", detail(activity));
        }
    }

    @Test
    public void withoutOtherAppsItPointsToTheOtherButtons() throws Exception {
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
        settle(first);
        pick(first, Fixture.photo("known.jpg"));
        MainActivity turned = turn(controller);
        assertNotSame(first, turned);
        assertSame("neither opened nor recognised again", first.session, turned.session);
        assertEquals(Fixture.place("known.jpg"), verdict(turned));
        assertEquals(Session.MATCHES, Fixture.matches(turned));
    }

    @Test
    public void anAnswerThatComesAfterARotationIsShown() throws Exception {
        ActivityController<MainActivity> controller = Robolectric.buildActivity(MainActivity.class).setup();
        Intent asked = press(controller.get(), R.id.pick);
        App.reply(controller.get(), asked, Activity.RESULT_OK, Fixture.publish(Fixture.photo("known.jpg")));
        MainActivity turned = turn(controller);
        settle(turned);
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

    /** The system ends the process and starts it again with what was saved. */
    private static MainActivity restart(ActivityController<MainActivity> controller) throws Exception {
        Bundle saved = new Bundle();
        controller.saveInstanceState(saved).pause().stop().destroy();
        return Robolectric.buildActivity(MainActivity.class).setup(saved).get();
    }

    @Test
    public void aProcessTheSystemEndedShowsThePhotoAgain() throws Exception {
        ActivityController<MainActivity> controller = Robolectric.buildActivity(MainActivity.class).setup();
        settle(controller.get());
        pick(controller.get(), Fixture.photo("known.jpg"));
        MainActivity again = restart(controller);
        assertNotSame(controller.get().session, again.session);
        settle(again);
        assertEquals(Fixture.place("known.jpg"), verdict(again));
    }

    @Test
    public void aCancelledCameraAfterTheProcessEndedLeavesTheLastAnswer() throws Exception {
        ActivityController<MainActivity> controller = Robolectric.buildActivity(MainActivity.class).setup();
        settle(controller.get());
        pick(controller.get(), Fixture.photo("known.jpg"));
        Intent asked = takeInto(controller.get(), Fixture.photo("unknown.jpg"));
        MainActivity again = restart(controller);
        press(again, R.id.take);
        answer(again, asked, Activity.RESULT_CANCELED, null);
        assertEquals(Fixture.place("known.jpg"), verdict(again));
        assertFalse(CaptureProvider.file(again).exists());
    }

    @Test
    public void aCacheThatWasEmptiedIsAFreshStart() throws Exception {
        ActivityController<MainActivity> controller = Robolectric.buildActivity(MainActivity.class).setup();
        settle(controller.get());
        pick(controller.get(), Fixture.photo("known.jpg"));
        for (java.io.File file : controller.get().getCacheDir().listFiles()) file.delete();
        MainActivity again = restart(controller);
        settle(again);
        assertEquals("Where are you?", verdict(again));
    }
}
