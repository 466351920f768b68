package org.pocketvlad.demo.session;

import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;
import org.pocketvlad.demo.recognizer.Assets;

/** A photo packaged with the app, so that a first run shows an answer: those of the self-test, known places first. */
public final class Example {
    private static final String FOLDER = "selftest/";
    private static final int MOST = 6;
    private static final int SMALL = 2; // a preview is decoded at a half

    public final String asset;
    public final String name;
    public final Bitmap preview;

    private Example(String asset, String name, Bitmap preview) {
        this.asset = asset;
        this.name = name;
        this.preview = preview;
    }

    /** @param threshold cosine under which a place is unknown */
    static List<Example> read(Context context, double threshold) throws IOException, JSONException {
        JSONArray pictures = new JSONObject(Assets.text(context, FOLDER + "manifest.json")).getJSONArray("pictures");
        List<Example> known = new ArrayList<>();
        List<Example> unknown = new ArrayList<>();
        for (int i = 0; i < pictures.length() && known.size() < MOST; i++) {
            JSONObject picture = pictures.getJSONObject(i);
            double cosine = picture.getJSONArray("top").getJSONObject(0).getDouble("cosine");
            String asset = FOLDER + picture.getString("file");
            Bitmap preview = preview(context, asset);
            if (preview == null) continue;
            (cosine >= threshold ? known : unknown).add(new Example(asset, picture.getString("name"), preview));
        }
        known.addAll(unknown);
        return known.subList(0, Math.min(MOST, known.size()));
    }

    private static Bitmap preview(Context context, String asset) throws IOException {
        byte[] file = Assets.bytes(context, asset);
        BitmapFactory.Options options = new BitmapFactory.Options();
        options.inSampleSize = SMALL;
        return BitmapFactory.decodeByteArray(file, 0, file.length, options);
    }
}
