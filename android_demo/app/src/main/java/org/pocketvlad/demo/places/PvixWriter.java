package org.pocketvlad.demo.places;

import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** Writes a place index of float32 vectors as the project's index/FORMAT.md has it. */
final class PvixWriter {
    private static final int HEADER = 136;
    private static final int RECORD = 56;
    private static final int ALIGNED = 64;
    private static final byte[] INFO = "{\"photos\": \"added on a phone\"}".getBytes(StandardCharsets.UTF_8);

    private PvixWriter() {}

    /**
     * Writes all of it or nothing.
     *
     * @param fingerprint 32 bytes, of the program that made the descriptors
     * @param photos one or more, descriptors of one length
     */
    static void write(File file, byte[] fingerprint, List<PlacePhoto> photos) throws IOException {
        File partial = File.createTempFile("places", ".part", file.getParentFile());
        try (FileOutputStream out = new FileOutputStream(partial)) {
            ByteBuffer bytes = encode(fingerprint, photos);
            out.write(bytes.array(), 0, bytes.position());
            out.getFD().sync();
            if (!partial.renameTo(file)) throw new IOException("Cannot keep the places");
        } finally {
            partial.delete(); // nothing to delete once it is renamed
        }
    }

    private static ByteBuffer encode(byte[] fingerprint, List<PlacePhoto> photos) {
        int dim = photos.get(0).descriptor.length;
        int vectors = aligned(HEADER);
        int records = aligned(vectors + 4 * dim * photos.size());
        int blob = records + RECORD * photos.size();
        int blobBytes = 0;
        for (PlacePhoto photo : photos) {
            blobBytes += utf8(photo.name).length + utf8(photo.label).length + thumbnail(photo).length;
        }
        int info = blob + blobBytes;
        int size = info + INFO.length;
        ByteBuffer out = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
        out.put(utf8("PVIX0002")).putInt(HEADER).putInt(0).putLong(photos.size()).putInt(dim).putFloat(Float.NaN);
        out.put(fingerprint).putLong(vectors).putLong(0).putLong(0).putLong(records).putLong(blob).putLong(blobBytes);
        out.putLong(info).putLong(INFO.length).putLong(size);
        out.position(vectors);
        for (PlacePhoto photo : photos) for (float value : photo.descriptor) out.putFloat(value);
        putRecords(out, photos, records, blob);
        out.position(info);
        out.put(INFO);
        return out;
    }

    /** Names and labels come before all thumbnails. */
    private static void putRecords(ByteBuffer out, List<PlacePhoto> photos, int records, int blob) {
        int text = 0;
        int picture = 0;
        for (PlacePhoto photo : photos) picture += utf8(photo.name).length + utf8(photo.label).length;
        for (int i = 0; i < photos.size(); i++) {
            PlacePhoto photo = photos.get(i);
            byte[] name = utf8(photo.name);
            byte[] label = utf8(photo.label);
            byte[] thumbnail = thumbnail(photo);
            double[] position = photo.position == null ? new double[] {Double.NaN, Double.NaN} : photo.position;
            out.position(records + RECORD * i);
            out.putLong(text).putLong(text + name.length).putLong(picture).putDouble(position[0]);
            out.putDouble(position[1]).putInt(name.length).putInt(label.length).putInt(thumbnail.length).putInt(0);
            out.position(blob + text);
            out.put(name).put(label);
            out.position(blob + picture);
            out.put(thumbnail);
            text += name.length + label.length;
            picture += thumbnail.length;
        }
    }

    private static byte[] thumbnail(PlacePhoto photo) {
        return photo.thumbnail == null ? new byte[0] : photo.thumbnail;
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static int aligned(int offset) {
        return (offset + ALIGNED - 1) / ALIGNED * ALIGNED;
    }
}
