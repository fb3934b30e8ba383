// Small help with fields. Every page works without it.
//
// - Of the blank rows that a form has to spare one is shown; its button shows the next one at once.
// - A scanner's group separator, which browsers swallow, reaches the field.
"use strict";

(() => {
  function letGroupSeparatorIn(event) {
    if (!event.target.name?.endsWith("scan")) return;
    if ((event.ctrlKey && event.key === "]") || event.key === "\u001d" || event.key === "F8") {
      event.preventDefault();
      event.target.setRangeText("\u001d", event.target.selectionStart, event.target.selectionEnd, "end");
    }
  }

  const isBlank = (row) =>
    !row.classList.contains("has-error") &&
    [...row.querySelectorAll("input:not([type=hidden]), select, textarea")].every((field) =>
      field.type === "checkbox" ? !field.checked : !field.value,
    );

  // One blank row of each set is enough to begin with. What is filled in, or came back wrong, is never hidden.
  function foldRows(form) {
    const seen = new Set();
    for (const row of form.querySelectorAll("[data-row]")) {
      const blank = isBlank(row);
      row.hidden = blank && seen.has(row.dataset.row);
      if (blank) seen.add(row.dataset.row);
    }
  }

  // The next row is there already while one is hidden; after that the server gives one more.
  function showNextRow(event) {
    const button = event.target.closest("button[name='add_row']");
    const next = button?.form.querySelector(`[data-row='${button.value}'][hidden]`);
    if (!next) return;
    event.preventDefault();
    next.hidden = false;
    next.querySelector("input:not([type=hidden]), select, textarea")?.focus();
  }

  for (const form of document.querySelectorAll("form[data-keep]")) {
    foldRows(form);
    form.addEventListener("broughtback", () => foldRows(form));
    form.addEventListener("click", showNextRow);
  }
  document.addEventListener("keydown", letGroupSeparatorIn);
})();
