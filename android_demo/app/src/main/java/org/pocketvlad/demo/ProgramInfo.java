package org.pocketvlad.demo;

import org.json.JSONException;
import org.json.JSONObject;

/** What the native library says of the program, the index and the processor. */
final class ProgramInfo {
    final int photos;
    /** Of the model's input, in pixels. */
    final int inputHeight;
    final int inputWidth;
    /** Instruction set of the kernels in use, for example neon_dotprod. */
    final String isa;
    final long programBytes;
    final long indexBytes;
    /** Everything it said, as JSON. */
    final JSONObject json;

    private ProgramInfo(JSONObject json) throws JSONException {
        this.json = json;
        photos = json.getInt("photos");
        inputHeight = json.getJSONArray("image_size").getInt(0);
        inputWidth = json.getJSONArray("image_size").getInt(1);
        isa = json.getString("isa");
        programBytes = json.getLong("program_bytes");
        indexBytes = json.getLong("index_bytes");
    }

    static ProgramInfo parse(String text) {
        try {
            return new ProgramInfo(new JSONObject(text));
        } catch (JSONException e) {
            throw new IllegalStateException("The native library's description is damaged", e);
        }
    }
}
