package org.pocketvlad.demo.ui;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.annotation.Config;
import org.pocketvlad.demo.Fixture;
import org.pocketvlad.demo.R;

/**
 * An APK whose parts do not fit together says so and stays usable to read. Runs apart from the other tests,
 * against APKs made for it; reason.txt holds what the screen must say.
 */
@RunWith(RobolectricTestRunner.class)
@Config(qualifiers = "w360dp-h760dp-xhdpi")
public class BrokenApp {
    @Test
    public void itSaysWhyItCannotRecognise() throws Exception {
        if (Fixture.file("native/libpreload.so").exists()) Fixture.loadSystemLibraries();
        MainActivity activity = Robolectric.buildActivity(MainActivity.class).setup().get();
        Fixture.settle(activity.session.worker);
        assertEquals("This app cannot recognise places", Fixture.text(activity, R.id.verdict));
        String detail = Fixture.text(activity, R.id.detail);
        String reason = new String(Files.readAllBytes(Fixture.file("reason.txt").toPath()), StandardCharsets.UTF_8);
        assertTrue(detail, detail.contains(reason));
        assertFalse(detail, detail.contains("\n"));
        assertFalse(activity.findViewById(R.id.pick).isEnabled());
        assertFalse(Fixture.visible(activity, R.id.progress));
        Fixture.screenshot(activity, "broken-" + reason.replace(' ', '-'));
    }
}
