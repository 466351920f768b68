package org.pocketvlad.demo.selftest;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.util.List;
import org.json.JSONArray;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;

/** Percentiles as the workstation has them. */
@RunWith(RobolectricTestRunner.class)
public class TimesTest {
    @Test
    public void percentilesLieBetweenTheirNeighbours() {
        Times times = new Times(0, new double[] {4, 1, 3, 2});
        assertEquals(2.5, times.at(50), 1e-12);
        assertEquals(3.7, times.at(90), 1e-12);
        assertEquals(3.97, times.at(99), 1e-12);
        assertEquals(4, times.at(100), 0);
        assertEquals(7, new Times(1, new double[] {7}).at(99), 0);
        assertTrue(Double.isNaN(new Times(1, new double[0]).at(50)));
    }

    @Test
    public void allPicturesAndRunsCount() throws Exception {
        List<Times> all = Times.of(new JSONArray("["
                + "{\"preprocess_ms\": [1, 2], \"inference_ms\": [5], \"search_ms\": [0.5]}, "
                + "{\"preprocess_ms\": [9], \"inference_ms\": [7], \"search_ms\": [0.5]}]"));
        assertEquals(2, all.get(0).at(50), 1e-12);
        assertEquals(6, all.get(1).at(50), 1e-12);
        assertEquals(0.5, all.get(2).at(99), 1e-12);
        assertEquals(2, all.get(2).stage);
    }
}
