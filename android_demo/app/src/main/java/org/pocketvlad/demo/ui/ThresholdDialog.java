package org.pocketvlad.demo.ui;

import android.app.AlertDialog;
import android.content.DialogInterface;
import android.view.View;
import android.widget.SeekBar;
import android.widget.TextView;
import java.util.Locale;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.session.Session;

/** Sets the cosine from which a place is known; the answer on the screen is judged anew while the bar moves. */
final class ThresholdDialog {
    private static final double STEP = 0.01;

    private ThresholdDialog() {}

    static AlertDialog show(MainActivity activity, Session session) {
        View view = activity.getLayoutInflater().inflate(R.layout.threshold, null);
        TextView value = view.findViewById(R.id.threshold_value);
        SeekBar bar = view.findViewById(R.id.threshold_bar);
        double suggested = session.suggestedThreshold();
        ((TextView) view.findViewById(R.id.threshold_default)).setText(suggested < 0
                ? activity.getString(R.string.threshold_none)
                : activity.getString(R.string.threshold_default, suggested));
        bar.setProgress((int) Math.round(Math.max(0, session.threshold()) / STEP));
        value.setText(text(bar.getProgress()));
        bar.setOnSeekBarChangeListener(new SeekBar.OnSeekBarChangeListener() {
            @Override
            public void onProgressChanged(SeekBar moved, int progress, boolean byHand) {
                value.setText(text(progress));
                session.setThreshold(progress * STEP);
            }

            @Override
            public void onStartTrackingTouch(SeekBar moved) {}

            @Override
            public void onStopTrackingTouch(SeekBar moved) {}
        });
        return new AlertDialog.Builder(activity).setTitle(R.string.threshold_title).setView(view)
                .setPositiveButton(android.R.string.ok, null)
                .setNeutralButton(R.string.threshold_reset, (DialogInterface dialog, int which) ->
                        session.setThreshold(null))
                .show();
    }

    private static String text(int progress) {
        return String.format(Locale.getDefault(), "%.2f", progress * STEP);
    }
}
