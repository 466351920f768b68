package org.pocketvlad.demo;

import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import android.view.LayoutInflater;
import android.view.View;
import android.view.ViewGroup;
import android.widget.BaseAdapter;
import android.widget.ImageView;
import android.widget.ProgressBar;
import android.widget.TextView;
import java.util.Collections;
import java.util.List;

/** The list of matches: thumbnail, place, file name, cosine as a number and as a bar. */
final class MatchAdapter extends BaseAdapter {
    private final Context context;
    private List<Recognizer.Match> matches = Collections.emptyList();

    MatchAdapter(Context context) {
        this.context = context;
    }

    void show(List<Recognizer.Match> found) {
        matches = found;
        notifyDataSetChanged();
    }

    @Override
    public int getCount() {
        return matches.size();
    }

    @Override
    public Recognizer.Match getItem(int position) {
        return matches.get(position);
    }

    @Override
    public long getItemId(int position) {
        return matches.get(position).row;
    }

    @Override
    public View getView(int position, View recycled, ViewGroup parent) {
        View view = recycled != null ? recycled : LayoutInflater.from(context).inflate(R.layout.match, parent, false);
        Recognizer.Match match = matches.get(position);
        ((TextView) view.findViewById(R.id.label)).setText(match.label.isEmpty() ? match.name : match.label);
        ((TextView) view.findViewById(R.id.name)).setText(subtitle(match));
        ((TextView) view.findViewById(R.id.cosine)).setText(context.getString(R.string.cosine, match.cosine));
        ((ProgressBar) view.findViewById(R.id.bar)).setProgress(Math.round(1000 * Math.max(0, match.cosine)));
        ((ImageView) view.findViewById(R.id.thumbnail)).setImageBitmap(thumbnail(match));
        return view;
    }

    private String subtitle(Recognizer.Match match) {
        if (match.position == null) return match.name;
        return context.getString(R.string.position, match.position[0], match.position[1]);
    }

    private static Bitmap thumbnail(Recognizer.Match match) {
        return match.thumbnail == null ? null
                : BitmapFactory.decodeByteArray(match.thumbnail, 0, match.thumbnail.length);
    }
}
