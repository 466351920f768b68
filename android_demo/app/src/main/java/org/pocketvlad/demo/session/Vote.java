package org.pocketvlad.demo.session;

import java.util.ArrayDeque;
import org.pocketvlad.demo.recognizer.Match;

/** What the last frames agree on, so that one blurred frame does not change the answer on the screen. */
public final class Vote {
    public static final int FRAMES = 7;
    private static final int MAJORITY = FRAMES / 2 + 1;

    private final ArrayDeque<Verdict> last = new ArrayDeque<>();
    private Match place; // shown, null: unknown
    private int votes;

    /** Adds a frame's verdict; an older one than FRAMES ago no longer counts. */
    public void add(Verdict verdict) {
        last.addLast(verdict);
        if (last.size() > FRAMES) last.removeFirst();
        Match winner = null;
        int most = 0;
        for (Verdict candidate : last) {
            int count = count(candidate);
            if (count >= most) { // of equals the later one, whose picture is fresher
                most = count;
                winner = candidate.known ? candidate.best : null;
            }
        }
        boolean same = winner == null ? place == null : place != null && winner.place().equals(place.place());
        if (most < Math.min(MAJORITY, last.size()) && !same) return; // no majority: what is shown stays
        place = winner;
        votes = most;
    }

    private int count(Verdict candidate) {
        int count = 0;
        for (Verdict other : last) {
            boolean agrees = candidate.known ? other.known && other.best.place().equals(candidate.best.place())
                    : !other.known;
            if (agrees) count++;
        }
        return count;
    }

    /** The latest match of the place the frames agree on, or null for an unknown place. */
    public Match place() {
        return place;
    }

    /** Frames that agree. */
    public int votes() {
        return votes;
    }

    /** Frames asked, FRAMES at most. */
    public int frames() {
        return last.size();
    }
}
