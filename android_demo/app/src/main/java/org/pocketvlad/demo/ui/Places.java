package org.pocketvlad.demo.ui;

import android.content.res.Resources;
import android.location.Location;
import org.pocketvlad.demo.R;

/** Where a match lies, in words: distance and direction from the photo, from the best match, or its coordinates. */
final class Places {
    private static final int KILOMETRE = 1000; // metres
    private static final int SPOT = 5; // metres under which positions are the same
    private static final int DIRECTIONS = 8;

    private Places() {}

    /**
     * A line for a match with a position.
     *
     * @param photo where the photo was taken, or null
     * @param best the best match's position, or null; the match itself may be it
     */
    static String line(Resources words, double[] position, double[] photo, double[] best) {
        if (photo != null) return from(words, photo, position, R.string.from_here);
        if (best != null && best != position) return from(words, best, position, R.string.from_best);
        return words.getString(R.string.coordinates, position[0], position[1]);
    }

    private static String from(Resources words, double[] start, double[] end, int sentence) {
        float[] way = new float[2]; // metres, degrees
        Location.distanceBetween(start[0], start[1], end[0], end[1], way);
        if (way[0] < SPOT) return words.getString(R.string.same_spot);
        String distance = way[0] < KILOMETRE ? words.getString(R.string.metres, Math.round(way[0]))
                : words.getString(R.string.kilometres, way[0] / KILOMETRE);
        int direction = Math.floorMod(Math.round(way[1] * DIRECTIONS / 360), DIRECTIONS);
        return words.getString(sentence, distance, words.getStringArray(R.array.bearings)[direction]);
    }
}
