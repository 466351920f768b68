package org.pocketvlad.demo.session;

import java.util.List;
import org.pocketvlad.demo.recognizer.Match;

/** What the matches mean: a known place or none. */
public final class Verdict {
    public final boolean known;
    public final Match best;
    public final double threshold;

    private Verdict(boolean known, Match best, double threshold) {
        this.known = known;
        this.best = best;
        this.threshold = threshold;
    }

    /** Known when the best match has a cosine of {@code threshold} or more; {@code matches}: one or more. */
    public static Verdict of(List<Match> matches, double threshold) {
        Match best = matches.get(0);
        return new Verdict(best.cosine >= threshold, best, threshold);
    }
}
