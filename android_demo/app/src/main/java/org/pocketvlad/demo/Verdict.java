package org.pocketvlad.demo;

import java.util.List;

/** What the matches mean: a known place or none. */
final class Verdict {
    final boolean known;
    /** The best match, or null when the index is empty. */
    final Recognizer.Match best;
    final double threshold;

    private Verdict(boolean known, Recognizer.Match best, double threshold) {
        this.known = known;
        this.best = best;
        this.threshold = threshold;
    }

    /** Known when the best match has a cosine of {@code threshold} or more. */
    static Verdict of(List<Recognizer.Match> matches, double threshold) {
        if (matches.isEmpty()) return new Verdict(false, null, threshold);
        Recognizer.Match best = matches.get(0);
        return new Verdict(best.cosine >= threshold, best, threshold);
    }
}
