package org.pocketvlad.demo.recognizer;

import org.json.JSONException;
import org.json.JSONObject;

/** What the native library says of the program, the index and the processor. */
public final class ProgramInfo {
    public final int photos;
    /** Of the model's input, in pixels. */
    public final int inputHeight;
    public final int inputWidth;
    /** Instruction set of the kernels in use, for example neon_dotprod. */
    public final String isa;
    public final long programBytes;
    public final long indexBytes;
    /** Everything it said, as JSON. */
    public final JSONObject json;

    private ProgramInfo(JSONObject json) throws JSONException {
        this.json = json;
        photos = json.getInt("photos");
        inputHeight = json.getJSONArray("image_size").getInt(0);
        inputWidth = json.getJSONArray("image_size").getInt(1);
        isa = json.getString("isa");
        programBytes = json.getLong("program_bytes");
        indexBytes = json.getLong("index_bytes");
    }

    public static ProgramInfo parse(String text) {
        try {
            return new ProgramInfo(new JSONObject(text));
        } catch (JSONException e) {
            throw new IllegalStateException("The native library's description is damaged", e);
        }
    }

    /** Cosine under which a place is unknown, as the index suggests it; -1 where it suggests none. */
    public double threshold() {
        return json.isNull("threshold") ? -1 : json.optDouble("threshold", -1);
    }

    /** Of the program, 32 bytes; an index belongs to it that has the same. */
    public byte[] fingerprint() {
        String digits = json.optString("fingerprint");
        byte[] bytes = new byte[digits.length() / 2];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) Integer.parseInt(digits.substring(2 * i, 2 * i + 2), 16);
        }
        return bytes;
    }
}
