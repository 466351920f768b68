package org.pocketvlad.demo.selftest;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import android.content.Intent;
import android.os.Build;
import android.os.Looper;
import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.json.JSONArray;
import org.json.JSONObject;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.Shadows;
import org.robolectric.shadows.ShadowLog;
import org.pocketvlad.demo.Fixture;

/** The self-test that `pocketvlad phone test` starts, on the finished APK's pictures and expected answers. */
@RunWith(RobolectricTestRunner.class)
public class SelfTestActivityTest {
    @Before
    public void load() throws Exception {
        Fixture.loadSystemLibraries();
    }

    @Test
    public void itPassesAndWritesItsResult() throws Exception {
        Intent intent = new Intent().putExtra(SelfTestActivity.TOKEN, "t1");
        SelfTestActivity activity = Robolectric.buildActivity(SelfTestActivity.class, intent).setup().get();
        activity.test.get(120, TimeUnit.SECONDS);
        Shadows.shadowOf(Looper.getMainLooper()).idle();
        assertTrue(activity.isFinishing());
        File file = new File(activity.getExternalFilesDir(null), SelfTestActivity.FILE);
        String text = new String(Files.readAllBytes(file.toPath()), StandardCharsets.UTF_8);
        JSONObject result = new JSONObject(text);
        assertTrue(text, result.getBoolean("passed"));
        assertEquals(text, 0, result.getJSONArray("reasons").length());
        assertEquals("t1", result.getString("token"));
        assertEquals(Build.VERSION.SDK_INT, result.getJSONObject("device").getInt("sdk"));
        assertFalse(result.getJSONObject("native").getString("isa").isEmpty());
        assertTrue(result.getJSONObject("memory").getLong("peak_kb") > 0);
        JSONObject picture = result.getJSONArray("pictures").getJSONObject(0);
        assertTrue(text, picture.getDouble("cosine") > 0.9999);
        assertTrue(text, picture.getDouble("max_difference") < 0.02);
        for (String stage : new String[] {"preprocess_ms", "inference_ms", "search_ms"}) {
            JSONArray times = picture.getJSONArray(stage);
            assertEquals(stage, result.getInt("runs"), times.length());
            assertTrue(stage, times.getDouble(0) > 0);
        }
        assertEquals(text, logged("t1"));
        File copy = Fixture.file("screenshots/selftest-sdk" + Build.VERSION.SDK_INT + ".json");
        copy.getParentFile().mkdirs();
        Files.write(copy.toPath(), result.toString(1).getBytes(StandardCharsets.UTF_8));
    }

    /** Times of two tests at once would be worth nothing: the second waits, and each answers its own caller. */
    @Test
    public void twoTestsRunOneAfterTheOther() throws Exception {
        SelfTestActivity[] activities = new SelfTestActivity[2];
        for (int i = 0; i < activities.length; i++) {
            Intent intent = new Intent().putExtra(SelfTestActivity.TOKEN, "twin" + i).putExtra(SelfTestActivity.SECONDS, 1 - i);
            activities[i] = Robolectric.buildActivity(SelfTestActivity.class, intent).setup().get();
        }
        activities[1].test.get(120, TimeUnit.SECONDS);
        assertTrue("the first was done before", activities[0].test.isDone());
        assertEquals(1, new JSONObject(logged("twin0")).getJSONObject("sustained").getInt("seconds"));
        assertTrue(new JSONObject(logged("twin1")).isNull("sustained"));
    }

    @Test
    public void aTokenThatWouldBreakTheLogIsLeftOut() throws Exception {
        Intent intent = new Intent().putExtra(SelfTestActivity.TOKEN, "a\nselftest b 1/1 {}");
        SelfTestActivity activity = Robolectric.buildActivity(SelfTestActivity.class, intent).setup().get();
        activity.test.get(120, TimeUnit.SECONDS);
        assertEquals("", new JSONObject(logged("")).getString("token"));
        assertFalse(ShadowLog.getLogsForTag("pocketvlad").stream().anyMatch(line -> line.msg.contains("\n")));
    }

    /** The result put together again from the log, as a workstation without access to the file does it. */
    private static String logged(String token) {
        List<String> lines = ShadowLog.getLogsForTag("pocketvlad").stream().map(item -> item.msg)
                .filter(line -> line.startsWith("selftest " + token + " ")).collect(Collectors.toList());
        StringBuilder text = new StringBuilder();
        for (int i = 0; i < lines.size(); i++) {
            String head = "selftest " + token + " " + (i + 1) + "/" + lines.size() + " ";
            assertTrue(lines.get(i), lines.get(i).startsWith(head));
            text.append(lines.get(i).substring(head.length()));
        }
        return text.toString();
    }

    @Test
    public void piecesForTheLogNeverPartACharacter() {
        String text = String.join("", Collections.nCopies(2000, "\uD83D\uDE00"))
                + String.join("", Collections.nCopies(3000, "\u6F22"));
        List<String> parts = SelfTestActivity.parts(text);
        assertEquals(text, String.join("", parts));
        for (String part : parts) {
            assertTrue(part.getBytes(StandardCharsets.UTF_8).length <= 4000);
            assertFalse(Character.isLowSurrogate(part.charAt(0)));
        }
    }
}
