package org.pocketvlad.demo.session;

import android.graphics.Bitmap;
import org.pocketvlad.demo.recognizer.Recognition;

/** A photo and its matches. */
public final class Answered implements State {
    /** Upright. */
    public final Bitmap photo;
    /** Latitude and longitude its camera wrote into it, or null. */
    public final double[] position;
    public final Recognition recognition;
    public final Verdict verdict;
    public final long decodeNanos;
    /** From the first byte read to the last match, with every copy in between. */
    public final long totalNanos;

    Answered(Bitmap photo, double[] position, Recognition recognition, Verdict verdict, long decode, long total) {
        this.photo = photo;
        this.position = position;
        this.recognition = recognition;
        this.verdict = verdict;
        this.decodeNanos = decode;
        this.totalNanos = total;
    }

    /** The same matches, judged anew. */
    Answered judged(double threshold) {
        return new Answered(photo, position, recognition, Verdict.of(recognition.matches, threshold), decodeNanos,
                totalNanos);
    }

    @Override
    public void on(Viewer screen) {
        screen.show(this);
    }
}
