package org.pocketvlad.demo;

/** A photo that cannot be read, with a reason from the string resources. */
final class PhotoException extends Exception {
    final int reason;

    PhotoException(int reason, Throwable cause) {
        super(cause);
        this.reason = reason;
    }
}
