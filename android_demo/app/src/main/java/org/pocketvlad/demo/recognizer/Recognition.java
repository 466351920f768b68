package org.pocketvlad.demo.recognizer;

import java.util.List;

/** The answer for one picture: a unit descriptor, matches best first, nanoseconds of each stage. */
public final class Recognition {
    public final float[] descriptor;
    public final List<Match> matches;
    public final long preprocessNanos;
    public final long inferenceNanos;
    public final long searchNanos;

    public Recognition(float[] descriptor, List<Match> matches, long preprocess, long inference, long search) {
        this.descriptor = descriptor;
        this.matches = matches;
        this.preprocessNanos = preprocess;
        this.inferenceNanos = inference;
        this.searchNanos = search;
    }
}
