package org.pocketvlad.demo.ui;

import android.content.Context;
import android.graphics.Canvas;
import android.graphics.Path;
import android.util.AttributeSet;
import android.widget.ImageView;

/** An image with the rounded corners of a card. */
public class RoundedImage extends ImageView {
    private static final float LARGEST = 28; // dp
    private static final int PART = 6; // of the shorter side

    private final Path shape = new Path();

    public RoundedImage(Context context, AttributeSet attributes) {
        super(context, attributes);
    }

    @Override
    protected void onSizeChanged(int width, int height, int oldWidth, int oldHeight) {
        super.onSizeChanged(width, height, oldWidth, oldHeight);
        float largest = LARGEST * getResources().getDisplayMetrics().density;
        float radius = Math.min(largest, Math.min(width, height) / (float) PART);
        shape.reset();
        shape.addRoundRect(0, 0, width, height, radius, radius, Path.Direction.CW);
    }

    @Override
    public void draw(Canvas canvas) {
        int saved = canvas.save();
        canvas.clipPath(shape);
        super.draw(canvas);
        canvas.restoreToCount(saved);
    }
}
