package org.pocketvlad.demo;

import android.graphics.Bitmap;

/** What the screen shows; a new one for every change. */
final class State {
    enum Kind { OPENING, READY, BUSY, ANSWER, PROBLEM, BROKEN }

    final Kind kind;
    /** READY: what was opened. */
    final ProgramInfo info;
    /** ANSWER: the photo, upright. */
    final Bitmap photo;
    final Recognizer.Recognition answer;
    final Verdict verdict;
    final long decodeNanos;
    /** PROBLEM (of one photo), BROKEN (nothing works): a string resource and a sentence. */
    final int heading;
    final String detail;

    private State(Kind kind, ProgramInfo info, Bitmap photo, Recognizer.Recognition answer, Verdict verdict,
            long decodeNanos, int heading, String detail) {
        this.kind = kind;
        this.info = info;
        this.photo = photo;
        this.answer = answer;
        this.verdict = verdict;
        this.decodeNanos = decodeNanos;
        this.heading = heading;
        this.detail = detail;
    }

    static State opening() {
        return new State(Kind.OPENING, null, null, null, null, 0, 0, null);
    }

    static State ready(ProgramInfo info) {
        return new State(Kind.READY, info, null, null, null, 0, 0, null);
    }

    static State busy() {
        return new State(Kind.BUSY, null, null, null, null, 0, 0, null);
    }

    static State answer(Bitmap photo, Recognizer.Recognition answer, Verdict verdict, long decodeNanos) {
        return new State(Kind.ANSWER, null, photo, answer, verdict, decodeNanos, 0, null);
    }

    static State problem(int heading, String detail) {
        return new State(Kind.PROBLEM, null, null, null, null, 0, heading, detail);
    }

    static State broken(int heading, String detail) {
        return new State(Kind.BROKEN, null, null, null, null, 0, heading, detail);
    }
}
