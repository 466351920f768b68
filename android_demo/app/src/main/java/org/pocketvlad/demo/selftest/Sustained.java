package org.pocketvlad.demo.selftest;

import android.content.Context;
import android.os.Build;
import android.os.PowerManager;
import java.util.ArrayList;
import java.util.List;
import org.json.JSONException;
import org.json.JSONObject;
import org.pocketvlad.demo.recognizer.Pixels;
import org.pocketvlad.demo.recognizer.Recognizer;

/** Recognises one picture again and again: what is left of the speed when the phone gets warm? */
final class Sustained {
    private static final int ENDS = 10; // runs at the beginning and at the end that are compared
    private static final int FORECAST = 10; // seconds

    private Sustained() {}

    /** @param seconds more than 0 */
    static JSONObject run(Context context, Recognizer recognizer, Pixels picture, int seconds) throws JSONException {
        PowerManager power = context.getSystemService(PowerManager.class);
        Object before = thermal(power);
        List<Double> times = new ArrayList<>();
        long end = System.nanoTime() + seconds * 1_000_000_000L;
        do {
            long start = System.nanoTime();
            recognizer.recognize(picture, 1);
            times.add((System.nanoTime() - start) / 1e6);
        } while (System.nanoTime() < end);
        int ends = Math.min(ENDS, times.size());
        return new JSONObject().put("seconds", seconds).put("runs", times.size())
                .put("first_ms", median(times.subList(0, ends)))
                .put("last_ms", median(times.subList(times.size() - ends, times.size())))
                .put("thermal_before", before).put("thermal_after", thermal(power)).put("headroom", headroom(power));
    }

    private static double median(List<Double> times) {
        return new Times(0, times.stream().mapToDouble(time -> time).toArray()).at(50);
    }

    /** 0 cool to 6 shutting down; JSON's null where Android does not say. */
    private static Object thermal(PowerManager power) {
        return Build.VERSION.SDK_INT >= 29 ? (Object) power.getCurrentThermalStatus() : JSONObject.NULL;
    }

    /** 1 where throttling would begin, foreseen; JSON's null where the phone does not say. */
    private static Object headroom(PowerManager power) {
        if (Build.VERSION.SDK_INT < 30) return JSONObject.NULL;
        float headroom = power.getThermalHeadroom(FORECAST);
        return Float.isNaN(headroom) ? JSONObject.NULL : (Object) headroom;
    }
}
