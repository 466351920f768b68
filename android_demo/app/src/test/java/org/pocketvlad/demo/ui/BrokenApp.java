package org.pocketvlad.demo.ui;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertTrue;

import android.graphics.Bitmap;
import android.widget.TextView;
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
        Fixture.settle(activity.session);
        assertEquals("This app cannot recognise places", Fixture.text(activity, R.id.verdict));
        String detail = Fixture.text(activity, R.id.detail);
        String reason = new String(Files.readAllBytes(Fixture.file("reason.txt").toPath()), StandardCharsets.UTF_8);
        assertTrue(detail, detail.contains(reason));
        assertFalse(detail, detail.contains("\n"));
        assertFalse(Fixture.visible(activity, R.id.progress));
        Bitmap shot = Fixture.screenshot(activity, "broken-" + reason.replace(' ', '-'));
        for (int id : new int[] {R.id.pick, R.id.take, R.id.live}) assertOffButReadable(activity.findViewById(id), shot);
    }

    private static void assertOffButReadable(TextView button, Bitmap shot) {
        assertFalse(button.isEnabled());
        int[] at = new int[2];
        button.getLocationInWindow(at);
        int behind = shot.getPixel(at[0] + button.getWidth() / 10, at[1] + button.getHeight() / 2);
        double contrast = LooksTest.contrast(button.getCurrentTextColor(), behind);
        assertTrue(button.getText() + " " + contrast, contrast >= 4.5);
    }
}
