package org.pocketvlad.demo.ui;

import android.os.Build;
import android.os.Bundle;
import android.view.View;
import android.view.ViewGroup;
import android.widget.TextView;
import org.pocketvlad.demo.R;

/** A page over the first one; the back gesture and its own button lead from it. */
abstract class Page {
    final MainActivity activity;
    final View view;

    Page(MainActivity activity, int layout) {
        this.activity = activity;
        ViewGroup root = activity.findViewById(R.id.root);
        view = activity.getLayoutInflater().inflate(layout, root, false);
        view.findViewById(R.id.back).setOnClickListener(button -> activity.close());
    }

    /** With a title, and clear of the system's bars. */
    Page(MainActivity activity, int layout, int title) {
        this(activity, layout);
        ((TextView) view.findViewById(R.id.page_title)).setText(title);
        announced(title);
        Insets.keepClear(view);
    }

    /** What a screen reader says when the page opens. */
    final void announced(int text) {
        if (Build.VERSION.SDK_INT >= 28) view.setAccessibilityPaneTitle(activity.getString(text));
    }

    /** It is on the screen. */
    void start() {}

    /** It is not any more. */
    void stop() {}

    /** What opens it again after a turn of the phone. */
    abstract void save(Bundle state);
}
