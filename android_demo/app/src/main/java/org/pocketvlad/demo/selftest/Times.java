package org.pocketvlad.demo.selftest;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;
import org.pocketvlad.demo.recognizer.Recognition;

/** Milliseconds of one stage over all pictures and runs of a self-test. */
public final class Times {
    /** One of the stages. */
    public static final int INFERENCE = 1;
    /** Keys of the stages in a picture's result, in their order. */
    static final String[] STAGES = {"preprocess_ms", "inference_ms", "search_ms"};

    /** Of each stage and run, as they come. */
    static final class Runs {
        private final JSONArray[] stages = {new JSONArray(), new JSONArray(), new JSONArray()};

        void add(Recognition answer) throws JSONException {
            stages[0].put(answer.preprocessNanos / 1e6);
            stages[1].put(answer.inferenceNanos / 1e6);
            stages[2].put(answer.searchNanos / 1e6);
        }

        /** Puts a list for each stage into the object. */
        JSONObject into(JSONObject object) throws JSONException {
            for (int stage = 0; stage < stages.length; stage++) object.put(STAGES[stage], stages[stage]);
            return object;
        }
    }

    /** Which of the stages: 0, 1, 2. */
    public final int stage;
    private final double[] sorted;

    Times(int stage, double[] milliseconds) {
        this.stage = stage;
        sorted = milliseconds.clone();
        Arrays.sort(sorted);
    }

    /** Of every stage, over all rows that have its times: the pictures of a result. */
    public static List<Times> of(JSONArray pictures) throws JSONException {
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
