// The rule editor shows the fields of the chosen effect only. Without this script all are shown; the form ignores the rest.
document.addEventListener("DOMContentLoaded", () => {
  "use strict";
  const effect = document.getElementById("id_effect");
  if (!effect) {
    return;
  }
  const show = () => {
    document.querySelectorAll("fieldset.only-for").forEach((part) => {
      part.hidden = !part.classList.contains(`only-for-${effect.value}`);
    });
  };
  effect.addEventListener("change", show);
  show();
});
