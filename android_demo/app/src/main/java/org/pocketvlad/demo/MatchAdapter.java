package org.pocketvlad.demo;

import android.content.Context;
import android.content.res.ColorStateList;
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

/** The list of matches: thumbnail, place, file name or position, cosine as a number and as a bar. */
final class MatchAdapter extends BaseAdapter {
    private final Context context;
    private List<Recognizer.Match> matches = Collections.emptyList();
    private double threshold;

    MatchAdapter(Context context) {
        this.context = context;
    }

    /** Bars of a cosine under the threshold get the colour of the unknown. */
    void show(List<Recognizer.Match> found, double threshold) {
        this.threshold = threshold;
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
    public boolean isEnabled(int position) {
        return false; // a row is only read
    }

    @Override
    public View getView(int position, View recycled, ViewGroup parent) {
        View view = recycled != null ? recycled : LayoutInflater.from(context).inflate(R.layout.match, parent, false);
        Recognizer.Match match = matches.get(position);
        view.setContentDescription(context.getString(R.string.match, position + 1, match.place(), match.cosine));
        ((TextView) view.findViewById(R.id.label)).setText(match.place());
        ((TextView) view.findViewById(R.id.name)).setText(subtitle(match));
        ((TextView) view.findViewById(R.id.cosine)).setText(context.getString(R.string.cosine, match.cosine));
        ((ImageView) view.findViewById(R.id.thumbnail)).setImageBitmap(thumbnail(match));
        ProgressBar bar = view.findViewById(R.id.bar);
        int color = match.cosine >= threshold ? R.color.known : R.color.unknown;
        bar.setProgressTintList(ColorStateList.valueOf(context.getColor(color)));
        bar.setProgress(Math.round(bar.getMax() * Math.max(0, match.cosine)));
        return view;
    }

    private String subtitle(Recognizer.Match match) {
        if (match.position == null) return match.file();
        return context.getString(R.string.position, match.file(), match.position[0], match.position[1]);
    }

    private static Bitmap thumbnail(Recognizer.Match match) {
        return match.thumbnail == null ? null
                : BitmapFactory.decodeByteArray(match.thumbnail, 0, match.thumbnail.length);
    }
}
