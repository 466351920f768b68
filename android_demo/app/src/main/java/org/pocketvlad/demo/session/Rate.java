package org.pocketvlad.demo.session;

import java.util.ArrayDeque;

/** Frames a second, over the last second. */
public final class Rate {
    private static final long WINDOW = 1_000_000_000L; // nanoseconds

    private final ArrayDeque<Long> times = new ArrayDeque<>();

    /** A frame was answered at a time of a clock that never goes back, in nanoseconds. */
    public void tick(long now) {
        times.addLast(now);
        while (times.size() > 2 && now - times.peekFirst() > WINDOW) times.removeFirst();
    }

    /** 0 before the second frame. */
    public double perSecond() {
        if (times.size() < 2) return 0;
        return (times.size() - 1) * 1e9 / Math.max(1, times.peekLast() - times.peekFirst());
    }
}
