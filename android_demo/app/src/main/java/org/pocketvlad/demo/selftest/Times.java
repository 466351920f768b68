package org.pocketvlad.demo.selftest;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/** Milliseconds of one stage over all pictures and runs of a self-test. */
public final class Times {
    /** Keys of the stages in a picture's result, in their order. */
    static final String[] STAGES = {"preprocess_ms", "inference_ms", "search_ms"};

    /** Which of the stages: 0, 1, 2. */
    public final int stage;
    private final double[] sorted;

    Times(int stage, double[] milliseconds) {
        this.stage = stage;
        sorted = milliseconds.clone();
        Arrays.sort(sorted);
    }

    /** Of every stage of a result. */
    public static List<Times> of(JSONObject result) throws JSONException {
        JSONArray pictures = result.getJSONArray("pictures");
        List<Times> all = new ArrayList<>();
        for (int stage = 0; stage < STAGES.length; stage++) {
            double[] values = new double[0];
            for (int i = 0; i < pictures.length(); i++) {
                JSONArray runs = pictures.getJSONObject(i).getJSONArray(STAGES[stage]);
                int old = values.length;
                values = Arrays.copyOf(values, old + runs.length());
                for (int run = 0; run < runs.length(); run++) values[old + run] = runs.getDouble(run);
            }
            all.add(new Times(stage, values));
        }
        return all;
    }

    /** The percentile, between its neighbours in proportion as NumPy has it; NaN for no times. */
    public double at(double percent) {
        if (sorted.length == 0) return Double.NaN;
        double place = percent / 100 * (sorted.length - 1);
        int low = (int) Math.floor(place);
        int high = Math.min(low + 1, sorted.length - 1);
        return sorted[low] + (place - low) * (sorted[high] - sorted[low]);
    }
}
