package org.pocketvlad.demo;

import android.app.Activity;
import android.view.View;
import android.widget.ImageView;
import android.widget.ListView;
import android.widget.TextView;
import java.util.Collections;

/** Puts a state on the views of the main activity. */
final class AnswerScreen implements Session.Screen {
    private static final double MEGABYTE = 1e6; // bytes

    private final Activity activity;
    private final Session session;
    private final View header;
    private final MatchAdapter adapter;

    AnswerScreen(Activity activity, ListView list, Session session) {
        this.activity = activity;
        this.session = session;
        header = activity.getLayoutInflater().inflate(R.layout.header, list, false);
        list.addHeaderView(header, null, false);
        adapter = new MatchAdapter(activity);
        list.setAdapter(adapter);
    }

    @Override
    public void show(State state) {
        if (session.title() != null) text(activity.findViewById(R.id.title), session.title());
        boolean working = state.kind == State.Kind.OPENING || state.kind == State.Kind.BUSY;
        activity.findViewById(R.id.progress).setVisibility(working ? View.VISIBLE : View.INVISIBLE);
        activity.findViewById(R.id.pick).setEnabled(state.kind != State.Kind.BROKEN);
        activity.findViewById(R.id.take).setEnabled(state.kind != State.Kind.BROKEN);
        if (state.kind == State.Kind.BUSY) {
            say(activity.getString(R.string.recognising), "", R.color.text);
            return; // the last answer stays until there is a new one
        }
        ImageView query = header.findViewById(R.id.query);
        query.setImageBitmap(state.photo);
        query.setVisibility(state.photo == null ? View.GONE : View.VISIBLE);
        header.findViewById(R.id.welcome).setVisibility(state.photo == null ? View.VISIBLE : View.GONE);
        header.findViewById(R.id.times).setVisibility(state.answer == null ? View.GONE : View.VISIBLE);
        if (state.answer == null) {
            adapter.show(Collections.emptyList(), 0);
        } else {
            adapter.show(state.answer.matches, state.verdict.threshold);
        }
        sayState(state);
    }

    private void sayState(State state) {
        switch (state.kind) {
            case OPENING:
                say(activity.getString(R.string.opening), "", R.color.text);
                break;
            case READY:
                sayReady(state.info);
                break;
            case ANSWER:
                sayVerdict(state.verdict);
                showTimes(state);
                break;
            default:
                say(activity.getString(state.heading), state.detail, R.color.unknown);
        }
    }

    private void sayReady(ProgramInfo info) {
        String photos = activity.getResources().getQuantityString(R.plurals.ready, info.photos, info.photos);
        String files = activity.getString(R.string.files, info.programBytes / MEGABYTE, info.indexBytes / MEGABYTE,
                info.isa);
        say(activity.getString(R.string.where), photos + "\n" + files, R.color.text);
    }

    private void sayVerdict(Verdict verdict) {
        if (verdict.known) {
            String detail = activity.getString(R.string.known_detail, verdict.best.cosine);
            say(verdict.best.place(), detail, R.color.known);
        } else {
            String detail = verdict.best == null ? activity.getString(R.string.index_empty)
                    : activity.getString(R.string.unknown_detail, verdict.best.cosine, verdict.threshold);
            say(activity.getString(R.string.unknown_place), detail, R.color.unknown);
        }
    }

    private void showTimes(State state) {
        time(R.id.time_decode, R.string.time_decode, state.decodeNanos);
        time(R.id.time_preprocess, R.string.time_preprocess, state.answer.preprocessNanos);
        time(R.id.time_inference, R.string.time_inference, state.answer.inferenceNanos);
        time(R.id.time_search, R.string.time_search, state.answer.searchNanos);
    }

    private void time(int view, int label, long nanos) {
        text(header.findViewById(view), activity.getString(label, Milliseconds.text(nanos)));
    }

    private void say(String verdict, String detail, int color) {
        TextView view = header.findViewById(R.id.verdict);
        text(view, verdict);
        view.setTextColor(activity.getColor(color));
        TextView line = header.findViewById(R.id.detail);
        text(line, detail);
        line.setVisibility(detail.isEmpty() ? View.GONE : View.VISIBLE);
    }

    private static void text(TextView view, String text) {
        if (!text.contentEquals(view.getText())) view.setText(text); // an equal text would be read out again
    }
}
