package org.pocketvlad.demo.ui;

import android.view.View;
import android.widget.PopupMenu;

/** A menu at a button. */
final class Choices {
    private final PopupMenu menu;

    Choices(View anchor) {
        menu = new PopupMenu(anchor.getContext(), anchor);
    }

    /** @param text a string resource */
    Choices add(int text, Runnable chosen) {
        menu.getMenu().add(0, text, 0, text).setOnMenuItemClickListener(item -> {
            chosen.run();
            return true;
        });
        return this;
    }

    void show() {
        menu.show();
    }
}
