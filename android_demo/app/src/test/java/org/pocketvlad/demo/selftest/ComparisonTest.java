package org.pocketvlad.demo.selftest;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.util.Collections;
import org.json.JSONException;
import org.json.JSONObject;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;

/** When an answer counts as the workstation's. */
@RunWith(RobolectricTestRunner.class)
public class ComparisonTest {
    private static Comparison.Top top(int[] rows, double... cosines) {
        Comparison.Top top = new Comparison.Top(rows.length);
        System.arraycopy(rows, 0, top.rows, 0, rows.length);
        System.arraycopy(cosines, 0, top.cosines, 0, rows.length);
        return top;
    }

    @Test
    public void comparisons() {
        float[] a = {0.6f, 0.8f};
        Comparison.Top rows = top(new int[] {3, 1}, 0.9, 0.5);
        Comparison same = Comparison.of(a, a, rows, rows, 0.9999);
        assertTrue(same.reasons.isEmpty() && same.sameTop);
        assertEquals(1, same.cosine, 1e-6);
        Comparison turned = Comparison.of(a, a, rows, top(new int[] {1, 3}, 0.9, 0.5), 0.9999);
        assertEquals(Collections.singletonList("rows [3, 1] instead of [1, 3]"), turned.reasons);
        Comparison other = Comparison.of(a, new float[] {0.8f, 0.6f}, rows, rows, 0.9999);
        assertEquals(0.96, other.cosine, 1e-6);
        assertEquals(0.2, other.maxDifference, 1e-6);
        assertEquals(Collections.singletonList("a cosine of 0.960000, under 0.999900"), other.reasons);
        Comparison shorter = Comparison.of(a, new float[1], rows, rows, 0.9999);
        assertEquals(Collections.singletonList("a descriptor of 2 values instead of 1"), shorter.reasons);
        Comparison broken = Comparison.of(new float[] {Float.NaN, 1}, a, rows, rows, 0.9999);
        assertEquals(0, broken.cosine, 0);
        assertFalse(broken.reasons.isEmpty());
    }

    /** As tests/android/test_selftest.py has it for the workstation. */
    @Test
    public void rowsCloserThanRoundingMayChangePlaces() {
        float[] a = {0.6f, 0.8f};
        Comparison.Top expected = top(new int[] {4, 2, 7}, 0.5, 0.5, 0.3);
        assertTrue(Comparison.of(a, a, top(new int[] {2, 4, 7}, 0.5, 0.5 - 1e-7, 0.3), expected, 0.9999).sameTop);
        assertTrue(Comparison.of(a, a, top(new int[] {4, 2, 9}, 0.5, 0.5, 0.3), expected, 0.9999).sameTop);
        assertFalse(Comparison.of(a, a, top(new int[] {4, 2, 9}, 0.5, 0.5, 0.29), expected, 0.9999).sameTop);
        assertFalse(Comparison.of(a, a, top(new int[] {4, 7, 2}, 0.5, 0.5, 0.3), expected, 0.9999).sameTop);
        assertFalse(Comparison.of(a, a, top(new int[] {9, 2, 7}, 0.5, 0.5, 0.3), expected, 0.9999).sameTop);
        assertFalse(Comparison.of(a, a, top(new int[] {4, 4, 7}, 0.5, 0.5, 0.3), expected, 0.9999).sameTop);
        assertFalse(Comparison.of(a, a, top(new int[] {2, 4, 7}, Double.NaN, 0.5, 0.3), expected, 0.9999).sameTop);
    }

    @Test
    public void aSelfTestWithoutPicturesIsRefused() throws Exception {
        JSONObject empty = new JSONObject("{\"format\": 1, \"pictures\": []}");
        String said = assertThrows(JSONException.class, () -> SelfTest.pictures(empty)).getMessage();
        assertEquals("The APK's self-test has no pictures; package it again", said);
        JSONObject later = new JSONObject("{\"format\": 2, \"pictures\": [{}]}");
        assertThrows(JSONException.class, () -> SelfTest.pictures(later));
        assertEquals(1, SelfTest.pictures(new JSONObject("{\"format\": 1, \"pictures\": [{}]}")).length());
    }
}
