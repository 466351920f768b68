package org.pocketvlad.demo.ui;

import android.content.res.ColorStateList;
import android.view.View;
import android.view.ViewGroup;
import android.widget.ImageView;
import android.widget.ProgressBar;
import android.widget.TextView;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.recognizer.Match;
import org.pocketvlad.demo.session.Answered;

/** A card for each match: picture, place, where it lies, cosine as a number and as a bar; a tap compares. */
final class MatchCards {
    private final MainActivity activity;
    private final ViewGroup parent;

    MatchCards(MainActivity activity, ViewGroup parent) {
        this.activity = activity;
        this.parent = parent;
    }

    void clear() {
        parent.removeAllViews();
    }

    void show(Answered answer) {
        clear();
        for (int rank = 0; rank < answer.recognition.matches.size(); rank++) parent.addView(card(answer, rank));
    }

    private View card(Answered answer, int rank) {
        View card = activity.getLayoutInflater().inflate(R.layout.match, parent, false);
        Match match = answer.recognition.matches.get(rank);
        String place = Labels.readable(match.place());
        String where = where(answer, match);
        card.setContentDescription(activity.getString(R.string.match, rank + 1, place, where, match.cosine));
        ((TextView) card.findViewById(R.id.label)).setText(place);
        ((TextView) card.findViewById(R.id.name)).setText(where);
        ((TextView) card.findViewById(R.id.cosine)).setText(activity.getString(R.string.cosine, match.cosine));
        ((ImageView) card.findViewById(R.id.thumbnail)).setImageBitmap(Thumbnails.of(match));
        ProgressBar bar = card.findViewById(R.id.bar);
        int colour = match.cosine >= answer.verdict.threshold ? R.color.primary : R.color.outline;
        bar.setProgressTintList(ColorStateList.valueOf(activity.getColor(colour)));
        bar.setProgress(Math.round(bar.getMax() * Math.max(0, match.cosine)));
        card.setOnClickListener(tapped -> activity.compare(rank));
        return card;
    }

    private String where(Answered answer, Match match) {
        if (match.position == null) return Labels.detail(match.name, match.place());
        return Places.line(activity.getResources(), match.position, answer.position, answer.verdict.best.position);
    }
}
