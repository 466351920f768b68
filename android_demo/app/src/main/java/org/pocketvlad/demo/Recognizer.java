package org.pocketvlad.demo;

import java.util.List;

/** Recognises places. Calls may take long and must come from one thread at a time. */
interface Recognizer extends AutoCloseable {
    /**
     * The best {@code k} matches for a picture, or as many as the index has.
     *
     * @throws IllegalStateException closed, or the model fails
     */
    Recognition recognize(Picture picture, int k);

    /** What was opened. */
    ProgramInfo info();

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

    /** One photo of the index that resembles the picture. */
    final class Match {
        final int row;
        final float cosine;
        final String name;
        final String label;
        /** JPEG, or null. */
        final byte[] thumbnail;
        /** Latitude and longitude in degrees, or null. */
        final double[] position;

        Match(int row, float cosine, String name, String label, byte[] thumbnail, double[] position) {
            this.row = row;
            this.cosine = cosine;
            this.name = name;
            this.label = label;
            this.thumbnail = thumbnail;
            this.position = position;
        }

        /** The place, or the photo's file name where the index names no place. */
        String place() {
            return label.isEmpty() ? name : label;
        }

        /** The photo's file name without its folders. */
        String file() {
            return name.substring(name.lastIndexOf('/') + 1);
        }
    }

    /** The answer for one picture: a unit descriptor, matches best first, nanoseconds of each stage. */
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
    }
}
