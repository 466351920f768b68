package org.pocketvlad.demo.ui;

import android.app.AlertDialog;
import android.os.Bundle;
import android.view.View;
import android.view.ViewGroup;
import android.widget.ImageView;
import android.widget.TextView;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.recognizer.Match;
import org.pocketvlad.demo.session.Session;

/** The places added on this phone: renamed, deleted, taken to another device and back. */
final class PlacesPage extends Page {
    static final String KEY = "places";
    private final Session session;

    PlacesPage(MainActivity activity, Session session, Documents files) {
        super(activity, R.layout.places, R.string.places);
        this.session = session;
        view.findViewById(R.id.export_places).setOnClickListener(button -> files.export());
        view.findViewById(R.id.import_places).setOnClickListener(button -> files.importPlaces());
    }

    @Override
    void save(Bundle state) {
        state.putBoolean(KEY, true);
    }

    @Override
    void start() {
        session.run(recognizer -> session.places(places -> {
            List<Row> rows = new ArrayList<>();
            for (Map.Entry<String, List<Integer>> place : places.rows().entrySet()) {
                Match first = recognizer.photo(place.getValue().get(0));
                rows.add(new Row(place.getKey(), place.getValue().size(), first));
            }
            session.onMain(() -> show(rows));
        }, this::failed));
    }

    /** A place, how many photos it has, and the first of them. */
    private static final class Row {
        final String label;
        final int photos;
        final Match first;

        Row(String label, int photos, Match first) {
            this.label = label;
            this.photos = photos;
            this.first = first;
        }
    }

    private void show(List<Row> rows) {
        ViewGroup list = view.findViewById(R.id.places);
        list.removeAllViews();
        view.findViewById(R.id.no_places).setVisibility(rows.isEmpty() ? View.VISIBLE : View.GONE);
        view.findViewById(R.id.export_places).setEnabled(!rows.isEmpty());
        for (Row row : rows) list.addView(card(row, list));
    }

    private View card(Row row, ViewGroup list) {
        View card = activity.getLayoutInflater().inflate(R.layout.place, list, false);
        ((TextView) card.findViewById(R.id.label)).setText(row.label);
        ((TextView) card.findViewById(R.id.name)).setText(
                activity.getResources().getQuantityString(R.plurals.photos, row.photos, row.photos));
        ((ImageView) card.findViewById(R.id.thumbnail)).setImageBitmap(Thumbnails.of(row.first));
        View more = card.findViewById(R.id.place_more);
        more.setContentDescription(activity.getString(R.string.place_more, row.label));
        more.setOnClickListener(button -> menu(button, row.label));
        return card;
    }

    private void menu(View anchor, String place) {
        new Choices(anchor)
                .add(R.string.rename, () -> NameDialog.show(activity, R.string.rename, place, name ->
                        change(places -> places.rename(place, name))))
                .add(R.string.delete, () -> new AlertDialog.Builder(activity)
                        .setMessage(activity.getString(R.string.delete_question, place))
                        .setPositiveButton(R.string.delete, (dialog, which) -> change(places -> places.delete(place)))
                        .setNegativeButton(android.R.string.cancel, null).show())
                .show();
    }

    private void change(Session.PlacesJob job) {
        session.places(places -> {
            job.run(places);
            session.onMain(() -> {
                start();
                session.refresh();
            });
        }, this::failed);
    }

    private void failed(String reason) {
        Notice.show(activity, R.string.places_unchanged, reason);
    }
}
