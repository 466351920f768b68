package org.pocketvlad.demo.ui;

import android.content.res.ColorStateList;
import android.view.View;
import android.widget.TextView;
import org.pocketvlad.demo.R;

/** The colours of the card with the answer. */
enum Tone {
    PLAIN(R.color.surface_container, R.color.on_surface),
    KNOWN(R.color.primary_container, R.color.on_primary_container),
    UNKNOWN(R.color.tertiary_container, R.color.on_tertiary_container),
    PROBLEM(R.color.error_container, R.color.on_error_container);

    private final int container;
    private final int text;

    Tone(int container, int text) {
        this.container = container;
        this.text = text;
    }

    /** Colours a card and texts in it; returns the texts' colour. */
    ColorStateList paint(View card, int... texts) {
        card.setBackgroundTintList(ColorStateList.valueOf(card.getContext().getColor(container)));
        ColorStateList colour = ColorStateList.valueOf(card.getContext().getColor(text));
        for (int id : texts) ((TextView) card.findViewById(id)).setTextColor(colour);
        return colour;
    }
}
