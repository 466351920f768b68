package org.pocketvlad.demo.ui;

import android.content.Context;
import android.graphics.Matrix;
import android.graphics.drawable.Drawable;
import android.util.AttributeSet;
import android.view.GestureDetector;
import android.view.MotionEvent;
import android.view.ScaleGestureDetector;

/** A whole photo that two fingers enlarge, one moves, and a double tap brings near or back. */
public final class ZoomImage extends RoundedImage {
    private static final float NEAREST = 8; // times the size at which the whole photo fits
    private static final float NEAR = 3;

    private final ScaleGestureDetector pinch;
    private final GestureDetector touch;
    private float zoom = 1;
    private float x; // of the photo's middle from the view's, in pixels
    private float y;

    public ZoomImage(Context context, AttributeSet attributes) {
        super(context, attributes);
        setScaleType(ScaleType.MATRIX);
        pinch = new ScaleGestureDetector(context, new ScaleGestureDetector.SimpleOnScaleGestureListener() {
            @Override
            public boolean onScale(ScaleGestureDetector detector) {
                zoomTo(zoom * detector.getScaleFactor(), detector.getFocusX(), detector.getFocusY());
                return true;
            }
        });
        touch = new GestureDetector(context, new GestureDetector.SimpleOnGestureListener() {
            @Override
            public boolean onDown(MotionEvent event) {
                return true;
            }

            @Override
            public boolean onScroll(MotionEvent start, MotionEvent now, float dx, float dy) {
                x -= dx;
                y -= dy;
                place();
                return true;
            }

            @Override
            public boolean onDoubleTap(MotionEvent event) {
                zoomTo(zoom > 1 ? 1 : NEAR, event.getX(), event.getY());
                return true;
            }
        });
    }

    float zoom() {
        return zoom;
    }

    /** Enlarges around a point of the view. */
    void zoomTo(float wanted, float focusX, float focusY) {
        float next = Math.max(1, Math.min(NEAREST, wanted));
        float fromX = focusX - getWidth() / 2f;
        float fromY = focusY - getHeight() / 2f;
        x = fromX + (x - fromX) * next / zoom;
        y = fromY + (y - fromY) * next / zoom;
        zoom = next;
        place();
    }

    @Override
    public boolean onTouchEvent(MotionEvent event) {
        boolean pinched = pinch.onTouchEvent(event);
        boolean touched = touch.onTouchEvent(event);
        if (zoom > 1 && getParent() != null) getParent().requestDisallowInterceptTouchEvent(true);
        return pinched || touched || super.onTouchEvent(event);
    }

    @Override
    protected void onSizeChanged(int width, int height, int oldWidth, int oldHeight) {
        super.onSizeChanged(width, height, oldWidth, oldHeight);
        place();
    }

    @Override
    public void setImageDrawable(Drawable photo) {
        super.setImageDrawable(photo);
        zoom = 1;
        place();
    }

    /** Keeps the photo's edges outside the view, or in its middle where it is smaller. */
    private void place() {
        Drawable photo = getDrawable();
        if (photo == null || getWidth() == 0 || getHeight() == 0) return;
        float width = photo.getIntrinsicWidth();
        float height = photo.getIntrinsicHeight();
        float scale = Math.min(getWidth() / width, getHeight() / height) * zoom;
        x = within(x, (width * scale - getWidth()) / 2);
        y = within(y, (height * scale - getHeight()) / 2);
        Matrix matrix = new Matrix();
        matrix.setScale(scale, scale);
        matrix.postTranslate((getWidth() - width * scale) / 2 + x, (getHeight() - height * scale) / 2 + y);
        setImageMatrix(matrix);
    }

    private static float within(float value, float most) {
        return most <= 0 ? 0 : Math.max(-most, Math.min(most, value));
    }
}
