package org.pocketvlad.demo.ui;

import android.app.Activity;
import android.app.AlertDialog;
import android.text.InputType;
import android.view.View;
import android.view.WindowManager;
import android.widget.EditText;
import android.widget.FrameLayout;
import java.util.function.Consumer;
import org.pocketvlad.demo.R;
import org.pocketvlad.demo.places.AddedPlaces;

/** Asks for a place's name. */
final class NameDialog {
    private NameDialog() {}

    /** @param named gets a name an index may hold; an empty one is not accepted */
    static AlertDialog show(Activity activity, int title, String before, Consumer<String> named) {
        AlertDialog.Builder builder = new AlertDialog.Builder(activity);
        EditText name = (EditText) activity.getLayoutInflater().inflate(R.layout.name, null);
        name.setInputType(InputType.TYPE_CLASS_TEXT | InputType.TYPE_TEXT_FLAG_CAP_SENTENCES);
        name.setText(before);
        name.selectAll();
        AlertDialog dialog = builder.setTitle(title).setView(framed(activity, name))
                .setPositiveButton(android.R.string.ok, (shown, which) -> {
                    String label = AddedPlaces.label(name.getText().toString());
                    if (!label.isEmpty()) named.accept(label);
                })
                .setNegativeButton(android.R.string.cancel, null).create();
        dialog.getWindow().setSoftInputMode(WindowManager.LayoutParams.SOFT_INPUT_STATE_VISIBLE);
        dialog.show();
        return dialog;
    }

    /** The field with room around it, which a dialog does not give. */
    private static View framed(Activity activity, View field) {
        FrameLayout frame = new FrameLayout(activity);
        int side = Math.round(24 * activity.getResources().getDisplayMetrics().density);
        frame.setPadding(side, side / 2, side, 0);
        frame.addView(field);
        return frame;
    }
}
