package org.pocketvlad.demo.ui;

import android.content.Context;
import android.graphics.drawable.Drawable;
import android.util.AttributeSet;

/** A whole photo, never cut: as wide as there is room, and no higher than its part of the screen. */
public final class FittedImage extends RoundedImage {
    private static final double PART = 0.5; // of the screen's height, where nothing else limits it

    public FittedImage(Context context, AttributeSet attributes) {
        super(context, attributes);
    }

    @Override
    protected void onMeasure(int widthSpec, int heightSpec) {
        Drawable photo = getDrawable();
        if (photo == null || photo.getIntrinsicWidth() <= 0 || photo.getIntrinsicHeight() <= 0) {
            super.onMeasure(widthSpec, heightSpec);
            return;
        }
        double width = MeasureSpec.getSize(widthSpec);
        double most = MeasureSpec.getMode(heightSpec) == MeasureSpec.UNSPECIFIED
                ? PART * getResources().getDisplayMetrics().heightPixels : MeasureSpec.getSize(heightSpec);
        double height = width * photo.getIntrinsicHeight() / photo.getIntrinsicWidth();
        double shrink = Math.min(1, most / height);
        setMeasuredDimension((int) Math.round(width * shrink), (int) Math.round(height * shrink));
    }
}
