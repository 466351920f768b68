package org.pocketvlad.demo.ui;

import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import org.pocketvlad.demo.recognizer.Match;

/** The index's small pictures. */
final class Thumbnails {
    private Thumbnails() {}

    /** Null where the index has none, or a damaged one. */
    static Bitmap of(Match match) {
        return match.thumbnail == null ? null
                : BitmapFactory.decodeByteArray(match.thumbnail, 0, match.thumbnail.length);
    }
}
