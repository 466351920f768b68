package org.pocketvlad.demo.camera;

/** Something that one thread closes and another uses: it goes when both are done. */
final class Held {
    private final Runnable end;
    private boolean used;
    private boolean closed;

    /** @param end called once, by the thread that is done last */
    Held(Runnable end) {
        this.end = end;
    }

    /** Until {@link #giveBack}; false once it is closed. One user at a time. */
    synchronized boolean take() {
        if (closed) return false;
        used = true;
        return true;
    }

    synchronized void giveBack() {
        used = false;
        if (closed) end.run();
    }

    synchronized void close() {
        if (closed) return;
        closed = true;
        if (!used) end.run();
    }
}
