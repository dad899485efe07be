// Passkeys: says where they cannot work, and what went wrong, in the page's own words.
(() => {
  const trouble = () => document.getElementById("passkey-trouble");
  const say = (text) => {
    const element = trouble();
    if (!element) return;
    element.textContent = text;
    element.hidden = false;
  };

  const WHY = {
    NotAllowedError: "The passkey was not used: it was cancelled, or took too long.",
    InvalidStateError: "This device has a passkey for this account already.",
    SecurityError: "The browser does not allow passkeys at this address.",
    NotSupportedError: "This device cannot make such a passkey.",
  };

  // The specification binds a passkey to a name; an IP address has none.
  const isPossible = () => window.isSecureContext && "PublicKeyCredential" in window
    && !/^[\d.]+$|:/.test(location.hostname);

  document.addEventListener("allauth.error", (event) => {
    event.preventDefault();
    say(WHY[event.detail.exception?.name] ?? "The passkey did not work. Try again, or come in another way.");
  });

  document.addEventListener("DOMContentLoaded", () => {
    if (isPossible()) return;
    for (const button of document.querySelectorAll("[data-passkey]")) {
      button.disabled = true;
      button.title = "Passkeys need HTTPS and a host name (or localhost).";
    }
  });
})();
