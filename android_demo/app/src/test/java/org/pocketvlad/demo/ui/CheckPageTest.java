package org.pocketvlad.demo.ui;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.pocketvlad.demo.ui.App.settle;
import static org.pocketvlad.demo.ui.App.start;

import android.app.Activity;
import android.app.AlertDialog;
import android.content.ClipData;
import android.content.Intent;
import android.net.Uri;
import android.view.View;
import android.view.ViewGroup;
import java.nio.file.Files;
import org.json.JSONArray;
import org.json.JSONObject;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.pocketvlad.demo.Fixture;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.session.Check;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.Shadows;
import org.robolectric.annotation.Config;
import org.robolectric.shadows.ShadowActivity;
import org.robolectric.shadows.ShadowAlertDialog;

/** The test and benchmark page, and models opened from files. */
@RunWith(RobolectricTestRunner.class)
@Config(qualifiers = "w360dp-h760dp-xhdpi")
public class CheckPageTest {
    private static final int OPEN_MODEL = 2; // items of the menu
    private static final int PACKAGED = 3;
    private static final int CHECK = 3; // where nothing is opened

    @Before
    public void load() throws Exception {
        Fixture.loadSystemLibraries();
    }

    private static void menu(MainActivity activity, int item) throws Exception {
        App.choose(activity.findViewById(R.id.more), item);
        settle(activity);
    }

    private static String row(Activity activity, int row) {
        View view = ((ViewGroup) activity.findViewById(R.id.check_rows)).getChildAt(row);
        return Fixture.text(view.findViewById(R.id.check_name)) + ": " + Fixture.text(view.findViewById(R.id.check_value));
    }

    @Test
    public void theSelfTestShowsItsAnswersAndTimes() throws Exception {
        MainActivity activity = start();
        menu(activity, CHECK);
        assertEquals("Does this phone agree?", Fixture.text(activity, R.id.check_verdict));
        assertFalse(activity.findViewById(R.id.check_share).isEnabled());
        Fixture.screenshot(activity, "check-before");
        activity.findViewById(R.id.check_run).performClick();
        assertEquals("Measuring…", Fixture.text(activity, R.id.check_verdict));
        assertFalse(activity.findViewById(R.id.check_run).isEnabled());
        activity.session.check().run(0); // a second one is not begun
        settle(activity);
        assertEquals("Same answers", Fixture.text(activity, R.id.check_verdict));
        assertTrue(row(activity, 0), row(activity, 0).matches("Resize: [\\d.]+ ms, 90% under [\\d.]+, 99% under [\\d.]+"));
        assertTrue(row(activity, 4), row(activity, 4).matches("Kernels: \\w+, \\d+ threads"));
        assertTrue(row(activity, 5), row(activity, 5).matches("Memory at its peak: [1-9]\\d+ MB"));
        Fixture.screenshot(activity, "check");

        activity.findViewById(R.id.check_share).performClick();
        Intent chooser = Shadows.shadowOf(activity).getNextStartedActivity();
        Intent sent = chooser.getParcelableExtra(Intent.EXTRA_INTENT);
        JSONObject shared = new JSONObject(sent.getStringExtra(Intent.EXTRA_TEXT));
        assertTrue(shared.getBoolean("passed"));
        assertEquals(2, shared.getInt("format"));
        Fixture.keep("shared", "json", shared.toString().getBytes("UTF-8"));

        activity.recreate();
        settle(activity);
    }

    @Test
    public void aMinuteTellsTheSpeedAtItsEnds() throws Exception {
        MainActivity activity = start();
        activity.open(new CheckPage(activity, activity.session));
        activity.session.check().run(1);
        settle(activity);
        assertTrue(row(activity, 6), row(activity, 6).matches(
                "Without a pause: [1-9]\\d* photos; [\\d.]+ ms at first, [\\d.]+ ms at the end"));
        JSONObject minute = activity.session.check().result().getJSONObject("sustained");
        assertEquals(1, minute.getInt("seconds"));
        assertTrue(minute.getDouble("last_ms") > 0);
        JSONArray scaling = activity.session.check().result().getJSONArray("scaling");
        assertEquals(Math.min(8, Runtime.getRuntime().availableProcessors()), scaling.length());
        int rows = ((ViewGroup) activity.findViewById(R.id.check_rows)).getChildCount();
        for (int i = 0; i < scaling.length(); i++) {
            assertEquals(i + 1, scaling.getJSONObject(i).getInt("threads"));
            String shown = row(activity, rows - scaling.length() + i);
            assertTrue(shown, shown.matches("Model, " + (i + 1) + " threads?: [\\d.]+ ms, 90% under [\\d.]+, 99% under [\\d.]+"));
        }
        Fixture.screenshot(activity, "check-minute");
        activity.close();
        activity.session.check().run(0); // nobody watches
        settle(activity);
        assertEquals("only with the minute", 0, activity.session.check().result().getJSONArray("scaling").length());
        App.pick(activity, Fixture.photo("known.jpg"));
        assertEquals("it was opened again", Fixture.place("known.jpg"), App.verdict(activity));
    }

    @Test
    public void aTestThatCannotRunOrDisagreesSaysWhy() throws Exception {
        MainActivity activity = start();
        CheckPage page = new CheckPage(activity, activity.session);
        activity.open(page);
        Check check = activity.session.check();
        check.watch(null);
        check.run(0);
        settle(activity);
        JSONObject result = check.result();
        result.getJSONArray("reasons").put("a.jpg: a cosine of 0.5");
        page.start();
        assertEquals("Other answers", Fixture.text(activity, R.id.check_verdict));
        assertTrue(Fixture.text(activity, R.id.check_detail).contains("a cosine of 0.5"));
        result.put("error", "no memory");
        page.start();
        assertEquals("The test cannot run", Fixture.text(activity, R.id.check_verdict));
        assertEquals("no memory", Fixture.text(activity, R.id.check_detail));
        Fixture.screenshot(activity, "check-failed");
    }

    private static Uri file(String name) throws Exception {
        return Fixture.publish(Files.readAllBytes(Fixture.file("files/" + name).toPath()));
    }

    /** Chooses files in the system's picker. */
    private static void choose(MainActivity activity, Uri... files) throws Exception {
        menu(activity, OPEN_MODEL);
        ShadowActivity.IntentForResult asked = Shadows.shadowOf(activity).getNextStartedActivityForResult();
        assertEquals(Intent.ACTION_OPEN_DOCUMENT, asked.intent.getAction());
        assertTrue(asked.intent.getBooleanExtra(Intent.EXTRA_ALLOW_MULTIPLE, false));
        Intent data = new Intent();
        ClipData clip = ClipData.newRawUri("", files[0]);
        for (int i = 1; i < files.length; i++) clip.addItem(new ClipData.Item(files[i]));
        if (files.length > 1) data.setClipData(clip);
        else data.setData(files[0]);
        Shadows.shadowOf(activity).receiveResult(asked.intent, Activity.RESULT_OK, data);
        settle(activity);
    }

    @Test
    public void anotherModelIsOpenedFromFilesAndThePackagedOneAgain() throws Exception {
        MainActivity activity = start();
        choose(activity, file("other.pvix"), file("other.pte"));
        assertEquals("Opened model", Fixture.text(activity, R.id.title));
        assertEquals("the index's own", Double.parseDouble(Fixture.text("files/other.txt")), activity.session.suggestedThreshold(), 1e-6);
        App.pick(activity, Fixture.photo("known.jpg"));
        assertNotNull(App.verdict(activity));
        Fixture.screenshot(activity, "opened");
        choose(activity, file("damaged.pte"));
        ShadowAlertDialog said = Shadows.shadowOf((AlertDialog) ShadowAlertDialog.getLatestDialog());
        assertEquals("The model stays as it was", said.getTitle().toString());
        assertTrue(said.getMessage().toString(), said.getMessage().toString().contains("The model file is damaged"));
        assertTrue(activity.session.hasOpened());
        menu(activity, PACKAGED);
        assertEquals("Street scenes", Fixture.text(activity, R.id.title));
        assertFalse(activity.session.hasOpened());
        assertNull(activity.page);
    }
}
