package org.pocketvlad.demo.ui;

import android.app.Activity;
import android.window.OnBackInvokedCallback;
import android.window.OnBackInvokedDispatcher;

/** Takes the system's back gesture while a page lies over the first one; API 33 and later. */
final class Back {
    private final Activity activity;
    private final OnBackInvokedCallback callback;
    private boolean taken;

    Back(Activity activity, Runnable action) {
        this.activity = activity;
        callback = action::run;
    }

    /** Untaken, the system shows the home screen under the gesture. */
    void take(boolean wanted) {
        if (wanted == taken) return;
        taken = wanted;
        OnBackInvokedDispatcher dispatcher = activity.getOnBackInvokedDispatcher();
        if (wanted) {
            dispatcher.registerOnBackInvokedCallback(OnBackInvokedDispatcher.PRIORITY_DEFAULT, callback);
        } else {
            dispatcher.unregisterOnBackInvokedCallback(callback);
        }
    }
}
