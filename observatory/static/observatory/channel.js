// The form of a new channel asks only what belongs to the chosen kind. Without this script all is asked; the form ignores
// the rest.
document.addEventListener("DOMContentLoaded", () => {
  "use strict";
  const kind = document.getElementById("id_kind");
  if (!kind) {
    return;
  }
  const wanted = {
    recipients: ["email"],
    url: ["webhook", "pagerduty"],
    secret: ["slack", "pagerduty"],
  };
  const show = () => {
    for (const [name, kinds] of Object.entries(wanted)) {
      document.querySelectorAll(`fieldset.for-${name}`).forEach((part) => {
        part.hidden = !kinds.includes(kind.value);
        part.disabled = part.hidden;
      });
    }
  };
  kind.addEventListener("change", show);
  show();
});
