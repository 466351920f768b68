package org.pocketvlad.demo.ui;

import android.app.Activity;
import android.app.AlertDialog;

/** Something a person has to know before going on. */
final class Notice {
    private Notice() {}

    /** Does nothing where the activity has gone meanwhile. */
    static void show(Activity activity, int title, String text) {
        if (open(activity)) said(activity, title, text).show();
    }

    /** The same with a way to more. */
    static void show(Activity activity, int title, String text, int more, Runnable then) {
        if (!open(activity)) return;
        said(activity, title, text).setNeutralButton(more, (dialog, which) -> then.run()).show();
    }

    private static boolean open(Activity activity) {
        return !activity.isDestroyed() && !activity.isFinishing();
    }

    private static AlertDialog.Builder said(Activity activity, int title, String text) {
        return new AlertDialog.Builder(activity).setTitle(title).setMessage(text)
                .setPositiveButton(android.R.string.ok, null);
    }
}
