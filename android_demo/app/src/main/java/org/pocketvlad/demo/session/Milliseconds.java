package org.pocketvlad.demo.session;

import java.util.Locale;

/** Times as people read them: three digits at most. */
public final class Milliseconds {
    private Milliseconds() {}

    public static String text(long nanos) {
        double milliseconds = nanos / 1e6;
        String format = milliseconds < 0.1 ? "%.3f" : milliseconds < 1 ? "%.2f" : milliseconds < 10 ? "%.1f" : "%.0f";
        return String.format(Locale.getDefault(), format, milliseconds);
    }
}
