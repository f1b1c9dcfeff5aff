// The form of an upstream asks only what belongs to the chosen transport and credential. Without this script all is
// asked; the form ignores the rest.
document.addEventListener("DOMContentLoaded", () => {
  "use strict";
  const transport = document.getElementById("id_transport");
  const credential = document.getElementById("id_credential");
  if (!transport || !credential) {
    return;
  }
  const show = () => {
    const wanted = {
      "for-address": transport.value !== "stdio",
      "for-program": transport.value === "stdio",
      "for-credential": credential.value !== "none",
    };
    for (const [name, isWanted] of Object.entries(wanted)) {
      document.querySelectorAll(`fieldset.${name}`).forEach((part) => {
        part.hidden = !isWanted;
        // What is not seen is not sent.
        part.disabled = !isWanted;
      });
    }
  };
  transport.addEventListener("change", show);
  credential.addEventListener("change", show);
  show();
});
