package org.pocketvlad.demo.ui;

import org.pocketvlad.demo.R;

/** The colours of the card with the answer. */
enum Tone {
    PLAIN(R.color.surface_container, R.color.on_surface),
    KNOWN(R.color.primary_container, R.color.on_primary_container),
    UNKNOWN(R.color.tertiary_container, R.color.on_tertiary_container),
    PROBLEM(R.color.error_container, R.color.on_error_container);

    final int container;
    final int text;

    Tone(int container, int text) {
        this.container = container;
        this.text = text;
    }
}
