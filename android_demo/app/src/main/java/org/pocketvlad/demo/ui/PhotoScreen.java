package org.pocketvlad.demo.ui;

import android.content.res.ColorStateList;
import android.graphics.Bitmap;
import android.view.View;
import android.view.ViewGroup;
import android.widget.ImageView;
import android.widget.TextView;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.recognizer.ProgramInfo;
import org.pocketvlad.demo.session.Answered;
import org.pocketvlad.demo.session.Broken;
import org.pocketvlad.demo.session.Busy;
import org.pocketvlad.demo.session.Example;
import org.pocketvlad.demo.session.Milliseconds;
import org.pocketvlad.demo.session.Opening;
import org.pocketvlad.demo.session.Problem;
import org.pocketvlad.demo.session.Ready;
import org.pocketvlad.demo.session.Session;
import org.pocketvlad.demo.session.State;

/** The first screen: a photo, what it shows and its matches, or how to begin. */
final class PhotoScreen implements State.Viewer {
    private static final int FADE = 200; // milliseconds

    private final MainActivity activity;
    private final Session session;
    private final MatchCards matches;

    PhotoScreen(MainActivity activity, Session session) {
        this.activity = activity;
        this.session = session;
        matches = new MatchCards(activity, activity.findViewById(R.id.matches));
    }

    @Override
    public void show(Opening state) {
        begin(true, true);
        say(activity.getString(R.string.opening), "", 0, Tone.PLAIN);
    }

    @Override
    public void show(Ready state) {
        begin(false, true);
        String photos = activity.getResources().getQuantityString(R.plurals.ready, state.photos, state.photos);
        String note = activity.getString(state.aside ? R.string.places_aside : R.string.private_note);
        say(activity.getString(R.string.where), photos + "\n" + note, 0, Tone.PLAIN);
        showExamples(state);
    }

    @Override
    public void show(Busy state) {
        working(true);
        activity.findViewById(R.id.threshold).setVisibility(View.GONE);
        say(activity.getString(R.string.recognising), "", 0, Tone.PLAIN); // the last photo stays
    }

    @Override
    public void show(Answered state) {
        begin(false, true);
        showPhoto(state.photo);
        matches.show(state);
        activity.findViewById(R.id.matches_heading).setVisibility(View.VISIBLE);
        activity.findViewById(R.id.add_place).setVisibility(View.VISIBLE);
        float cosine = state.verdict.best.cosine;
        if (state.verdict.known) {
            say(Labels.readable(state.verdict.best.place()), activity.getString(R.string.known_detail, cosine),
                    R.drawable.ic_place, Tone.KNOWN);
        } else {
            say(activity.getString(R.string.unknown_place), activity.getString(R.string.unknown_detail, cosine),
                    R.drawable.ic_unknown, Tone.UNKNOWN);
        }
        TextView threshold = activity.findViewById(R.id.threshold);
        threshold.setVisibility(View.VISIBLE);
        threshold.setText(activity.getString(R.string.threshold, Math.max(0, state.verdict.threshold)));
        TextView times = activity.findViewById(R.id.times);
        times.setVisibility(View.VISIBLE);
        times.setText(activity.getString(R.string.times, Milliseconds.text(state.totalNanos),
                Milliseconds.text(state.decodeNanos), Milliseconds.text(state.recognition.preprocessNanos),
                Milliseconds.text(state.recognition.inferenceNanos), Milliseconds.text(state.recognition.searchNanos)));
    }

    @Override
    public void show(Problem state) {
        begin(false, true);
        say(activity.getString(state.heading), state.detail, R.drawable.ic_problem, Tone.PROBLEM);
    }

    @Override
    public void show(Broken state) {
        begin(false, false);
        say(activity.getString(R.string.broken), state.detail, R.drawable.ic_problem, Tone.PROBLEM);
    }

    /** An empty screen with its buttons. */
    private void begin(boolean working, boolean usable) {
        if (session.title() != null) text(R.id.title, session.title());
        working(working);
        for (int button : new int[] {R.id.pick, R.id.take, R.id.live, R.id.more}) {
            activity.findViewById(button).setEnabled(usable);
        }
        activity.findViewById(R.id.welcome).setVisibility(View.VISIBLE);
        activity.findViewById(R.id.query).setVisibility(View.GONE);
        for (int part : new int[] {R.id.times, R.id.examples_part, R.id.matches_heading, R.id.threshold,
            R.id.add_place}) {
            activity.findViewById(part).setVisibility(View.GONE);
        }
        matches.clear();
    }

    private void working(boolean working) {
        activity.findViewById(R.id.progress).setVisibility(working ? View.VISIBLE : View.INVISIBLE);
    }

    private void showPhoto(Bitmap photo) {
        ImageView query = activity.findViewById(R.id.query);
        boolean another = query.getTag() != photo;
        query.setTag(photo);
        query.setImageBitmap(photo);
        query.setVisibility(View.VISIBLE);
        activity.findViewById(R.id.welcome).setVisibility(View.GONE);
        if (!another) return; // the same one, judged anew or turned
        activity.findViewById(R.id.scroll).scrollTo(0, 0);
        query.setAlpha(0f);
        query.animate().alpha(1f).setDuration(FADE);
    }

    private void showExamples(Ready state) {
        activity.findViewById(R.id.examples_part).setVisibility(state.examples.isEmpty() ? View.GONE : View.VISIBLE);
        ViewGroup row = activity.findViewById(R.id.examples);
        row.removeAllViews();
        for (Example example : state.examples) {
            ImageView view = (ImageView) activity.getLayoutInflater().inflate(R.layout.example, row, false);
            view.setImageBitmap(example.preview);
            view.setContentDescription(activity.getString(R.string.example, row.getChildCount() + 1));
            view.setOnClickListener(tapped -> session.recognize(example));
            row.addView(view);
        }
    }

    private void say(String verdict, String detail, int icon, Tone tone) {
        View card = activity.findViewById(R.id.verdict_card);
        ColorStateList colour = tone.paint(card, R.id.verdict, R.id.detail, R.id.threshold);
        ImageView image = activity.findViewById(R.id.verdict_icon);
        image.setVisibility(icon == 0 ? View.GONE : View.VISIBLE);
        image.setImageResource(icon);
        image.setImageTintList(colour);
        ((TextView) activity.findViewById(R.id.threshold)).setCompoundDrawableTintList(colour);
        text(R.id.verdict, verdict);
        text(R.id.detail, detail);
        activity.findViewById(R.id.detail).setVisibility(detail.isEmpty() ? View.GONE : View.VISIBLE);
    }

    private void text(int id, String text) {
        TextView view = activity.findViewById(id);
        if (!text.contentEquals(view.getText())) view.setText(text); // an equal text would be read out again
    }

    /** What is on show of the program, for the menu. */
    static String about(MainActivity activity, ProgramInfo info, String runtime) {
        return activity.getString(R.string.about_text, info.programBytes / 1e6, info.indexBytes / 1e6, info.photos,
                info.isa, info.json.optInt("threads"), runtime);
    }
}
