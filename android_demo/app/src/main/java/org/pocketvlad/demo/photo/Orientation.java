package org.pocketvlad.demo.photo;

/** The eight EXIF orientations: how stored pixels are mirrored and then turned to be upright. */
public final class Orientation {
    public static final int UPRIGHT = 1;

    private Orientation() {}

    /** Anything that is no orientation means upright, as every viewer has it. */
    public static int checked(int tag) {
        return tag >= 1 && tag <= 8 ? tag : UPRIGHT;
    }

    /** Whether left and right are swapped before turning. */
    public static boolean mirrored(int orientation) {
        return orientation == 2 || orientation == 4 || orientation == 5 || orientation == 7;
    }

    /** Degrees clockwise. */
    public static int degrees(int orientation) {
        switch (orientation) {
            case 3:
            case 4:
                return 180;
            case 6:
            case 7:
                return 90;
            case 5:
            case 8:
                return 270;
            default:
                return 0;
        }
    }
}
