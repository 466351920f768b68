package org.pocketvlad.demo.camera;

import android.annotation.SuppressLint;
import android.content.Context;
import android.graphics.ImageFormat;
import android.graphics.SurfaceTexture;
import android.hardware.camera2.CameraAccessException;
import android.hardware.camera2.CameraCaptureSession;
import android.hardware.camera2.CameraCharacteristics;
import android.hardware.camera2.CameraDevice;
import android.hardware.camera2.CameraManager;
import android.hardware.camera2.CaptureRequest;
import android.hardware.camera2.params.StreamConfigurationMap;
import android.media.Image;
import android.media.ImageReader;
import android.os.Handler;
import android.os.HandlerThread;
import android.util.Log;
import android.util.Size;
import android.view.Surface;
import java.util.Arrays;
import java.util.concurrent.Executor;
import java.util.function.IntSupplier;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.recognizer.Frame;

/** The back camera: a preview on a texture, and its newest frame for the recogniser's thread. */
public final class LiveCamera implements AutoCloseable {
    private static final String TAG = "pocketvlad";
    private static final int IMAGES = 3; // one answered, one the newest, one being written

    /** What becomes of it; every method on a thread of its own choice. */
    public interface Listener {
        /** A frame, valid during the call, on the worker. */
        void frame(Frame frame);

        /** It stops; a string resource says why. */
        void failed(int reason);
    }

    private final CameraManager manager;
    private final Listener listener;
    private final IntSupplier rotation; // of the display, in degrees counter-clockwise
    private final HandlerThread thread = new HandlerThread("camera");
    private final NewestFrame newest;
    private Handler handler;
    private String id;
    private int sensor; // degrees clockwise that make its frames upright on an upright phone
    private Size size;
    private ImageReader reader;
    private final Held reading = new Held(() -> reader.close());
    private CameraDevice device; // only of the camera's thread, once open
    private boolean closed; // guarded by this

    public LiveCamera(Context context, Executor worker, IntSupplier rotation, Listener listener) {
        manager = (CameraManager) context.getSystemService(Context.CAMERA_SERVICE);
        this.listener = listener;
        this.rotation = rotation;
        newest = new NewestFrame(worker, this::answer);
    }

    /**
     * Finds the camera and its frame size.
     *
     * @param inputLonger longer side of the model's input
     * @return false where there is none; the listener knows
     */
    public boolean find(int inputLonger) {
        try {
            for (String candidate : manager.getCameraIdList()) {
                CameraCharacteristics traits = manager.getCameraCharacteristics(candidate);
                StreamConfigurationMap map = traits.get(CameraCharacteristics.SCALER_STREAM_CONFIGURATION_MAP);
                Size[] sizes = map == null ? null : map.getOutputSizes(ImageFormat.YUV_420_888);
                if (sizes == null || sizes.length == 0) continue;
                Integer facing = traits.get(CameraCharacteristics.LENS_FACING);
                boolean back = facing != null && facing == CameraCharacteristics.LENS_FACING_BACK;
                if (id != null && !back) continue;
                Integer turned = traits.get(CameraCharacteristics.SENSOR_ORIENTATION);
                id = candidate;
                sensor = turned == null ? 0 : turned;
                size = FrameSize.choose(sizes, inputLonger);
                if (back) break;
            }
        } catch (CameraAccessException | RuntimeException e) {
            fail(R.string.live_failed, e);
            return false;
        }
        if (id == null) listener.failed(R.string.live_no_camera);
        return id != null;
    }

    /** Of its frames, as the sensor gives them. */
    public Size size() {
        return size;
    }

    /** Degrees clockwise that make the sensor's frames upright on an upright phone. */
    public int sensor() {
        return sensor;
    }

    /** Opens it; the permission is there. */
    @SuppressLint("MissingPermission")
    public void open(SurfaceTexture preview) {
        thread.start();
        handler = new Handler(thread.getLooper());
        reader = ImageReader.newInstance(size.getWidth(), size.getHeight(), ImageFormat.YUV_420_888, IMAGES);
        reader.setOnImageAvailableListener(from -> newest.arrived(), handler);
        preview.setDefaultBufferSize(size.getWidth(), size.getHeight());
        Surface shown = new Surface(preview);
        try {
            manager.openCamera(id, new Opened(shown), handler);
        } catch (CameraAccessException | RuntimeException e) {
            fail(R.string.live_failed, e);
        }
    }

    @Override
    public void close() {
        synchronized (this) {
            closed = true;
        }
        if (handler == null) return;
        reading.close(); // now, or when the frame that is being answered is: its bytes are the reader's
        handler.post(() -> {
            if (device != null) device.close();
            thread.quitSafely();
        });
    }

    private void answer() {
        if (!reading.take()) return;
        try (Image image = reader.acquireLatestImage()) {
            if (image != null) listener.frame(Frames.of(image, sensor - rotation.getAsInt()));
        } finally {
            reading.giveBack();
        }
    }

    private synchronized boolean isClosed() {
        return closed;
    }

    private void fail(int reason, Throwable cause) {
        Log.e(TAG, "the camera fails", cause);
        listener.failed(reason);
    }

    /** What the camera's system says while it opens and runs, on the camera's thread. */
    private final class Opened extends CameraDevice.StateCallback {
        private final Surface shown;

        Opened(Surface shown) {
            this.shown = shown;
        }

        @Override
        public void onOpened(CameraDevice opened) {
            device = opened;
            if (isClosed()) return; // close() comes next on this thread
            try {
                device.createCaptureSession(Arrays.asList(shown, reader.getSurface()), new Running(), handler);
            } catch (CameraAccessException | RuntimeException e) {
                fail(R.string.live_failed, e);
            }
        }

        @Override
        public void onDisconnected(CameraDevice opened) {
            opened.close();
            if (!isClosed()) listener.failed(R.string.live_busy);
        }

        @Override
        public void onError(CameraDevice opened, int error) {
            opened.close();
            boolean busy = error == ERROR_CAMERA_IN_USE || error == ERROR_MAX_CAMERAS_IN_USE;
            if (!isClosed()) listener.failed(busy ? R.string.live_busy : R.string.live_failed);
        }

        private final class Running extends CameraCaptureSession.StateCallback {
            @Override
            public void onConfigured(CameraCaptureSession session) {
                if (isClosed()) return;
                try {
                    CaptureRequest.Builder request = device.createCaptureRequest(CameraDevice.TEMPLATE_PREVIEW);
                    request.addTarget(shown);
                    request.addTarget(reader.getSurface());
                    request.set(CaptureRequest.CONTROL_AF_MODE, CaptureRequest.CONTROL_AF_MODE_CONTINUOUS_PICTURE);
                    session.setRepeatingRequest(request.build(), null, handler);
                } catch (CameraAccessException | RuntimeException e) {
                    if (!isClosed()) fail(R.string.live_failed, e);
                }
            }

            @Override
            public void onConfigureFailed(CameraCaptureSession session) {
                if (!isClosed()) listener.failed(R.string.live_failed);
            }
        }
    }
}
