package org.pocketvlad.demo.selftest;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** One answer of this phone beside the workstation's answer for the same picture. */
public final class Comparison {
    /** What rounding may change of a cosine, between two machines with the same descriptor. */
    private static final double ROUNDING = 1e-5;

    /** Rows of the index and their cosines, best first. */
    static final class Top {
        final int[] rows;
        final double[] cosines;

        Top(int length) {
            rows = new int[length];
            cosines = new double[length];
        }
    }

    /** Cosine of the two descriptors; 0 where they have another length or no direction. */
    final double cosine;
    /** The largest difference of one descriptor value. */
    final double maxDifference;
    /** The same rows, but for an order that rounding decides. */
    final boolean sameTop;
    /** Why it did not pass; empty when it did. */
    final List<String> reasons;

    private Comparison(double cosine, double maxDifference, boolean sameTop, List<String> reasons) {
        this.cosine = cosine;
        this.maxDifference = maxDifference;
        this.sameTop = sameTop;
        this.reasons = reasons;
    }

    /** {@code least}: the cosine that passes. */
    static Comparison of(float[] found, float[] expected, Top top, Top expectedTop, double least) {
        List<String> reasons = new ArrayList<>();
        double cosine = 0;
        double largest = 0;
        if (found.length == expected.length) {
            cosine = cosine(found, expected);
            largest = largestDifference(found, expected);
            if (!(cosine >= least)) {
                reasons.add(String.format(Locale.ROOT, "a cosine of %.6f, under %.6f", cosine, least));
            }
        } else {
            reasons.add("a descriptor of " + found.length + " values instead of " + expected.length);
        }
        // |a - b| of unit vectors: as much may any cosine with another unit vector change
        double slack = Math.sqrt(Math.max(0, 2 - 2 * cosine)) + ROUNDING;
        boolean same = sameTop(top, expectedTop, slack);
        if (!same) {
            reasons.add("rows " + Arrays.toString(top.rows) + " instead of " + Arrays.toString(expectedTop.rows));
        }
        return new Comparison(cosine, largest, same, reasons);
    }

    /** Whether another row stands only where its cosine equals the expected one's to within {@code slack}. */
    private static boolean sameTop(Top top, Top expected, double slack) {
        int length = expected.rows.length;
        if (top.rows.length != length || Arrays.stream(top.rows).distinct().count() != length) return false;
        for (int i = 0; i < length; i++) {
            if (top.rows[i] == expected.rows[i]) continue;
            double cosine = top.cosines[i];
            double own = Math.min(cosine, expected.cosines[length - 1]); // a row outside the top is no better than it
            for (int k = 0; k < length; k++) if (expected.rows[k] == top.rows[i]) own = expected.cosines[k];
            double off = Math.max(Math.abs(cosine - expected.cosines[i]), Math.abs(cosine - own));
            if (!(off <= slack)) return false;
        }
        return true;
    }

    /** Of two vectors of one length; 0 where one has no direction. */
    public static double cosine(float[] a, float[] b) {
        double dot = 0;
        double aa = 0;
        double bb = 0;
        for (int i = 0; i < a.length; i++) {
            dot += (double) a[i] * b[i];
            aa += (double) a[i] * a[i];
            bb += (double) b[i] * b[i];
        }
        double norm = Math.sqrt(aa) * Math.sqrt(bb);
        return norm > 0 && norm < Double.POSITIVE_INFINITY ? dot / norm : 0;
    }

    private static double largestDifference(float[] a, float[] b) {
        double largest = 0;
        for (int i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i] - (double) b[i]));
        return largest < Double.POSITIVE_INFINITY ? largest : Double.MAX_VALUE; // JSON knows no NaN
    }
}
