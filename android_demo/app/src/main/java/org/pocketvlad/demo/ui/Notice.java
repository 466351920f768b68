package org.pocketvlad.demo.ui;

import android.app.Activity;
import android.app.AlertDialog;

/** Something a person has to know before going on. */
final class Notice {
    private Notice() {}

    /** Does nothing where the activity has gone meanwhile. */
    static void show(Activity activity, int title, String text) {
        if (activity.isDestroyed() || activity.isFinishing()) return;
        new AlertDialog.Builder(activity).setTitle(title).setMessage(text)
                .setPositiveButton(android.R.string.ok, null).show();
    }
}
