package org.pocketvlad.demo;

import java.util.List;

/** Recognises places. Calls may take long and must come from one thread. */
interface Recognizer extends AutoCloseable {
    /** The best {@code k} matches for a picture, best first. */
    Recognition recognize(Picture picture, int k);

    /** Photos in the index. */
    int size();

    /** JSON about program, index and processor. */
    String info();

    @Override
    void close();

    /** Decoded pixels, 0xAARRGGBB row by row, and the EXIF orientation (1..8) that makes them upright. */
    final class Picture {
        final int[] argb;
        final int width;
        final int height;
        final int orientation;

        Picture(int[] argb, int width, int height, int orientation) {
            this.argb = argb;
            this.width = width;
            this.height = height;
            this.orientation = orientation;
        }
    }

    /** One row of the index that resembles the picture. */
    final class Match {
        final int row;
        final float cosine;
        final String name;
        final String label;
        final byte[] thumbnail; // JPEG, or null
        final double[] position; // latitude and longitude, or null

        Match(int row, float cosine, String name, String label, byte[] thumbnail, double[] position) {
            this.row = row;
            this.cosine = cosine;
            this.name = name;
            this.label = label;
            this.thumbnail = thumbnail;
            this.position = position;
        }
    }

    /** The answer for one picture, with the nanoseconds of each stage. */
    final class Recognition {
        final float[] descriptor;
        final List<Match> matches;
        final long preprocessNanos;
        final long inferenceNanos;
        final long searchNanos;

        Recognition(float[] descriptor, List<Match> matches, long preprocess, long inference, long search) {
            this.descriptor = descriptor;
            this.matches = matches;
            this.preprocessNanos = preprocess;
            this.inferenceNanos = inference;
            this.searchNanos = search;
        }

        /** Whether the best match is at least as near as {@code threshold}. */
        boolean isKnown(double threshold) {
            return !matches.isEmpty() && matches.get(0).cosine >= threshold;
        }
    }
}
