package org.pocketvlad.demo.ui;

import android.graphics.Bitmap;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import org.pocketvlad.demo.places.Snapshot;

/** Frames of a few seconds, far enough apart to differ, that are to become photos of one place. */
final class Collector {
    static final int FRAMES = 6;
    private static final long APART = 500_000_000L; // nanoseconds

    private final List<Snapshot> snapshots = new ArrayList<>();
    private long last;

    /** @return whether there are enough */
    boolean add(long now, float[] descriptor, Supplier<Bitmap> picture) {
        if (!snapshots.isEmpty() && now - last < APART) return false;
        Bitmap seen = picture.get();
        if (seen == null) return false;
        last = now;
        snapshots.add(new Snapshot(seen, null, descriptor));
        return snapshots.size() == FRAMES;
    }

    List<Snapshot> snapshots() {
        return snapshots;
    }
}
