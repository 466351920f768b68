package org.pocketvlad.demo;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** One answer of this phone beside the workstation's answer for the same picture. */
final class Comparison {
    /** Cosine of the two descriptors; 0 where they have another length or no direction. */
    final double cosine;
    /** The largest difference of one descriptor value. */
    final double maxDifference;
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
    static Comparison of(float[] found, float[] expected, int[] rows, int[] expectedRows, double least) {
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
        boolean same = Arrays.equals(rows, expectedRows);
        if (!same) reasons.add("rows " + Arrays.toString(rows) + " instead of " + Arrays.toString(expectedRows));
        return new Comparison(cosine, largest, same, reasons);
    }

    private static double cosine(float[] a, float[] b) {
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

    /** The middle value, of an even number the upper one. */
    static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        return sorted[sorted.length / 2];
    }
}
