// Passkeys and security keys: starts what django-allauth's script does, and says on the page when it did not work.
(() => {
  "use strict";
  const asked = JSON.parse(document.getElementById("ceremony").textContent);
  const problem = document.getElementById("key-problem");
  const SAID = {
    NotAllowedError: "Nothing was confirmed. Try again, or use a code.",
    InvalidStateError: "This key is set up already.",
    SecurityError: "This browser uses keys only at the service's own address.",
  };

  document.addEventListener("allauth.error", (event) => {
    event.preventDefault();
    const { exception } = event.detail;
    problem.textContent = SAID[exception?.name] ?? "The key could not be used on this device. Use a code.";
    problem.hidden = false;
    problem.focus();
  });

  window.allauth.webauthn.forms[asked.form]({ ids: asked.ids });
})();
