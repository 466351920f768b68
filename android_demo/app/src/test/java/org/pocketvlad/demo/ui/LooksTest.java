package org.pocketvlad.demo.ui;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import android.graphics.Color;
import android.view.View;
import android.view.ViewGroup;
import android.widget.TextView;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.pocketvlad.demo.Fixture;
import org.pocketvlad.demo.R;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.annotation.Config;

/** Screens in the light and the dark, in Chinese, in large type, on its side and on a tablet; and what can be read. */
@RunWith(RobolectricTestRunner.class)
@Config(qualifiers = "w360dp-h760dp-xhdpi")
public class LooksTest {
    @Before
    public void load() throws Exception {
        Fixture.loadSystemLibraries();
    }

    private static MainActivity known(String shot) throws Exception {
        MainActivity activity = App.start();
        Fixture.screenshot(activity, "start-" + shot);
        App.pick(activity, Fixture.photo("known.jpg"));
        assertEquals(Fixture.place("known.jpg"), App.verdict(activity));
        Fixture.screenshot(activity, shot);
        return activity;
    }

    @Test
    @Config(qualifiers = "+night")
    public void atNight() throws Exception {
        assertReadable(known("night"));
    }

    @Test
    public void byDay() throws Exception {
        assertReadable(App.start());
    }

    /** WCAG 2.1 AA for text. */
    private static void assertReadable(MainActivity activity) {
        int[][] pairs = {{R.color.on_surface, R.color.surface}, {R.color.on_surface_variant, R.color.surface},
            {R.color.on_surface, R.color.surface_container}, {R.color.on_surface_variant, R.color.surface_container},
            {R.color.on_primary, R.color.primary}, {R.color.on_secondary_container, R.color.secondary_container},
            {R.color.on_primary_container, R.color.primary_container},
            {R.color.on_tertiary_container, R.color.tertiary_container},
            {R.color.on_error_container, R.color.error_container}};
        for (int[] pair : pairs) {
            double contrast = contrast(activity.getColor(pair[0]), activity.getColor(pair[1]));
            assertTrue(activity.getResources().getResourceName(pair[0]) + " " + contrast, contrast >= 4.5);
        }
    }

    static double contrast(int a, int b) {
        double x = Color.luminance(a);
        double y = Color.luminance(b);
        return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
    }

    @Test
    @Config(qualifiers = "+zh-rCN")
    public void inChinese() throws Exception {
        MainActivity activity = known("chinese");
        assertEquals("最相似的照片", Fixture.text(activity, R.id.matches_heading));
    }

    @Test
    @Config(qualifiers = "+ar-ldrtl")
    public void fromRightToLeft() throws Exception {
        MainActivity activity = known("rtl");
        View card = Fixture.match(activity, 0);
        assertTrue(card.findViewById(R.id.thumbnail).getLeft() > card.findViewById(R.id.bar).getLeft());
    }

    @Test
    public void inTypeOfTwiceTheSize() throws Exception {
        RuntimeEnvironment.setFontScale(2f);
        MainActivity activity = known("large-type");
        for (int button : new int[] {R.id.pick, R.id.live, R.id.take}) {
            TextView text = activity.findViewById(button);
            assertEquals("the whole word", text.getText().length(), text.getLayout().getLineEnd(0));
            assertTrue(text.getLayout().getLineWidth(0) <= text.getWidth());
        }
    }

    @Test
    @Config(qualifiers = "w760dp-h360dp-land-xhdpi")
    public void onItsSide() throws Exception {
        MainActivity activity = known("landscape");
        assertShown(activity);
    }

    @Test
    @Config(qualifiers = "sw800dp-w800dp-h1280dp-mdpi")
    public void onATablet() throws Exception {
        MainActivity activity = known("tablet");
        assertShown(activity);
        View more = activity.findViewById(R.id.more);
        int icon = more.getRight() - more.getPaddingRight(); // stands over the end of the column
        assertEquals(activity.findViewById(R.id.scroll).getRight() - 96, icon);
    }

    /** The whole photo and a whole match, without scrolling. */
    private static void assertShown(MainActivity activity) {
        View photo = activity.findViewById(R.id.query);
        assertTrue(photo.getWidth() > 200 && photo.getHeight() > 100);
        View scroll = activity.findViewById(R.id.scroll);
        ViewGroup content = (ViewGroup) ((ViewGroup) scroll).getChildAt(0);
        int bottom = activity.findViewById(R.id.matches).getTop() + Fixture.match(activity, 0).getBottom();
        assertTrue(bottom + " of " + scroll.getHeight(), content.getTop() + bottom <= scroll.getHeight());
    }
}
