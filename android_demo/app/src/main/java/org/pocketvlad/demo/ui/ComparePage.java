package org.pocketvlad.demo.ui;

import android.graphics.Bitmap;
import android.os.Bundle;
import android.view.View;
import android.widget.TextView;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.recognizer.Match;
import org.pocketvlad.demo.session.Answered;

/** The photo and one match side by side, whole, each to be enlarged. */
final class ComparePage extends Page {
    static final String KEY = "compare";
    private final int rank;

    ComparePage(MainActivity activity, Answered answer, int rank) {
        super(activity, R.layout.compare, R.string.compare);
        this.rank = rank;
        ((ZoomImage) view.findViewById(R.id.left)).setImageBitmap(answer.photo);
        Match match = answer.recognition.matches.get(rank);
        Bitmap thumbnail = Thumbnails.of(match);
        ZoomImage right = view.findViewById(R.id.right);
        right.setImageBitmap(thumbnail);
        String caption = activity.getString(R.string.compare_caption, Labels.readable(match.place()), match.cosine);
        ((TextView) view.findViewById(R.id.right_caption)).setText(
                thumbnail == null ? activity.getString(R.string.no_thumbnail) : caption);
        view.findViewById(R.id.left).setContentDescription(activity.getString(R.string.query_photo));
        right.setContentDescription(caption);
        right.setImportantForAccessibility(View.IMPORTANT_FOR_ACCESSIBILITY_YES);
    }

    @Override
    void save(Bundle state) {
        state.putInt(KEY, rank);
    }
}
