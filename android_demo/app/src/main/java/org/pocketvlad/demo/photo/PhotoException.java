package org.pocketvlad.demo.photo;

/** A photo that cannot be read, with a reason from the string resources. */
public final class PhotoException extends Exception {
    public final int reason;

    public PhotoException(int reason, Throwable cause) {
        super(cause);
        this.reason = reason;
    }
}
