package org.pocketvlad.demo.camera;

import android.util.Size;

/** Which of a camera's frame sizes suits a model: the smallest that is twice its input, in the shape of photos. */
public final class FrameSize {
    private static final double SHAPE = 4 / 3.0; // of a phone's photos, which the index knows
    private static final int LARGEST = 1920; // a longer frame costs time and shows the model nothing new

    private FrameSize() {}

    /** @param inputLonger longer side of the model's input, in pixels */
    public static Size choose(Size[] sizes, int inputLonger) {
        Size best = sizes[0];
        for (Size size : sizes) if (better(size, best, 2 * inputLonger)) best = size;
        return best;
    }

    private static boolean better(Size one, Size other, int wanted) {
        int missing = Integer.compare(cost(one, wanted), cost(other, wanted));
        if (missing != 0) return missing < 0;
        return Math.abs(shape(one) - SHAPE) < Math.abs(shape(other) - SHAPE) - 0.01;
    }

    /** Pixels of the longer side too many, or ten times those too few. */
    private static int cost(Size size, int wanted) {
        int side = Math.max(size.getWidth(), size.getHeight());
        int off = side >= wanted ? side - wanted : 10 * (wanted - side);
        boolean odd = Math.abs(shape(size) - SHAPE) > 0.01;
        return off + (odd ? wanted / 2 : 0) + (side > LARGEST ? LARGEST : 0);
    }

    private static double shape(Size size) {
        int longer = Math.max(size.getWidth(), size.getHeight());
        return (double) longer / Math.min(size.getWidth(), size.getHeight());
    }
}
