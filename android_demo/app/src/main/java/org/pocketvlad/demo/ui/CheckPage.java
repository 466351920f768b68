package org.pocketvlad.demo.ui;

import android.content.ActivityNotFoundException;
import android.content.Intent;
import android.os.Bundle;
import android.view.View;
import android.view.ViewGroup;
import android.widget.TextView;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.selftest.Times;
import org.pocketvlad.demo.session.Check;
import org.pocketvlad.demo.session.Milliseconds;
import org.pocketvlad.demo.session.Session;

/** The self-test and the benchmark of `pocketvlad phone`, on the screen: do the answers agree, and how fast are they? */
final class CheckPage extends Page {
    static final String KEY = "check";
    private static final int MINUTE = 60; // seconds

    private final Session session;

    CheckPage(MainActivity activity, Session session) {
        super(activity, R.layout.check, R.string.check);
        this.session = session;
        view.findViewById(R.id.check_run).setOnClickListener(button -> run(0));
        view.findViewById(R.id.check_minute).setOnClickListener(button -> run(MINUTE));
        view.findViewById(R.id.check_share).setOnClickListener(button -> share());
    }

    @Override
    void save(Bundle state) {
        state.putBoolean(KEY, true);
    }

    @Override
    void start() {
        session.check().watch(this::show);
    }

    @Override
    void stop() {
        session.check().watch(null);
    }

    private void run(int seconds) {
        session.check().run(seconds);
    }

    private void show(Check check) {
        JSONObject result = check.result();
        boolean shown = result != null && !check.running();
        view.findViewById(R.id.check_progress).setVisibility(check.running() ? View.VISIBLE : View.INVISIBLE);
        for (int button : new int[] {R.id.check_run, R.id.check_minute}) {
            view.findViewById(button).setEnabled(!check.running());
        }
        view.findViewById(R.id.check_share).setEnabled(shown);
        ViewGroup rows = view.findViewById(R.id.check_rows);
        rows.removeAllViews();
        try {
            if (check.running()) {
                say(activity.getString(R.string.check_running), "", Tone.PLAIN);
            } else if (result == null) {
                say(activity.getString(R.string.check_title), activity.getString(R.string.check_help), Tone.PLAIN);
            } else {
                showResult(result, rows);
            }
        } catch (JSONException e) {
            throw new IllegalStateException(e); // of our own making
        }
    }

    private void showResult(JSONObject result, ViewGroup rows) throws JSONException {
        if (result.has("error")) {
            say(activity.getString(R.string.check_impossible), result.getString("error"), Tone.PROBLEM);
            return;
        }
        JSONArray reasons = result.getJSONArray("reasons");
        int pictures = result.getJSONArray("pictures").length();
        if (reasons.length() == 0) {
            say(activity.getString(R.string.check_passed), activity.getResources().getQuantityString(
                    R.plurals.check_agree, pictures, pictures), Tone.KNOWN);
        } else {
            say(activity.getString(R.string.check_failed), reasons.join("\n"), Tone.PROBLEM);
        }
        for (Times times : Times.of(result.getJSONArray("pictures"))) {
            row(rows, activity.getResources().getStringArray(R.array.stages)[times.stage], percentiles(times));
        }
        facts(result, rows);
        JSONArray scaling = result.getJSONArray("scaling");
        for (int i = 0; i < scaling.length(); i++) {
            int threads = scaling.getJSONObject(i).getInt("threads");
            row(rows, activity.getResources().getQuantityString(R.plurals.check_with_threads, threads, threads),
                    percentiles(Times.of(new JSONArray().put(scaling.getJSONObject(i))).get(Times.INFERENCE)));
        }
    }

    private String percentiles(Times times) {
        return activity.getString(R.string.check_times, text(times.at(50)), text(times.at(90)), text(times.at(99)));
    }

    private static String text(double milliseconds) {
        return Milliseconds.text(Math.round(milliseconds * 1e6));
    }

    private void facts(JSONObject result, ViewGroup rows) throws JSONException {
        JSONObject kernels = result.getJSONObject("native");
        row(rows, activity.getString(R.string.check_load),
                activity.getString(R.string.check_milliseconds, text(kernels.getDouble("load_ms"))));
        row(rows, activity.getString(R.string.check_kernels),
                activity.getString(R.string.check_threads, kernels.getString("isa"), kernels.getInt("threads")));
        row(rows, activity.getString(R.string.check_memory), activity.getString(R.string.check_megabytes,
                result.getJSONObject("memory").optLong("peak_kb") / 1e3));
        JSONObject minute = result.optJSONObject("sustained");
        if (minute == null) return;
        row(rows, activity.getString(R.string.check_minute_row), activity.getString(R.string.check_sustained,
                minute.getInt("runs"), text(minute.getDouble("first_ms")), text(minute.getDouble("last_ms"))));
        String[] states = activity.getResources().getStringArray(R.array.thermal);
        int state = minute.optInt("thermal_after", -1);
        if (state >= 0 && state < states.length) row(rows, activity.getString(R.string.check_thermal), states[state]);
    }

    private void row(ViewGroup rows, String name, String value) {
        View row = activity.getLayoutInflater().inflate(R.layout.check_row, rows, false);
        ((TextView) row.findViewById(R.id.check_name)).setText(name);
        ((TextView) row.findViewById(R.id.check_value)).setText(value);
        rows.addView(row);
    }

    private void say(String title, String detail, Tone tone) {
        tone.paint(view.findViewById(R.id.check_card), R.id.check_verdict, R.id.check_detail);
        ((TextView) view.findViewById(R.id.check_verdict)).setText(title);
        TextView more = view.findViewById(R.id.check_detail);
        more.setText(detail);
        more.setVisibility(detail.isEmpty() ? View.GONE : View.VISIBLE);
    }

    /** Hands the JSON of `pocketvlad phone test --json` to another app. */
    private void share() {
        Intent send = new Intent(Intent.ACTION_SEND).setType("text/plain")
                .putExtra(Intent.EXTRA_SUBJECT, activity.getString(R.string.check))
                .putExtra(Intent.EXTRA_TEXT, session.check().result().toString());
        try {
            activity.startActivity(Intent.createChooser(send, null));
        } catch (ActivityNotFoundException e) {
            Notice.show(activity, R.string.check, activity.getString(R.string.other_way));
        }
    }
}
