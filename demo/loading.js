/** Says so when a script of the page cannot be loaded or run: no module, so that it runs before them. */
"use strict";

window.addEventListener(
  "error",
  ({ target, message }) => {
    const sentence = document.getElementById("sentence");
    const name = target.src?.split("/").pop();
    if (!sentence) return;
    if (name) sentence.textContent = `The page does not work: ${name}, or a script that it needs, cannot be loaded. Reload the page to try again.`;
    else if (message) sentence.textContent = `The page does not work: ${message}`;
    document.getElementById("result").setAttribute("aria-busy", "false");
  },
  true,
);
