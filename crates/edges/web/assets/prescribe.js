// Enhancement of the prescribing page: the same form is sent on every change, and what the server renders of
// it takes the place of the preview. Without this file the button Check does the same. Must not decide and
// must not keep anything: the server checks, and nothing is stored here.

const form = document.querySelector("form[data-preview]");
const place = document.getElementById("preview");
const state = document.getElementById("preview-state");

// Fields that do not belong to the chosen way of saying when are folded away.
const fields = { daily: ["number"], hours: ["number"], times: ["times"], moments: ["moments"], week: ["days", "times"], once: ["times"] };
const fold = () => {
  for (const group of form.querySelectorAll("[data-step]")) {
    const number = group.dataset.step;
    const how = group.querySelector(`#how-${number}`).value;
    for (const name of ["number", "times", "moments", "days"]) {
      const input = group.querySelector(`#${name}-${number}, #${name}-${number}-0`);
      const field = input.closest(".field");
      field.hidden = how !== "" && !fields[how].includes(name);
    }
  }
};

// The old preview is not of what stands in the form now: it is marked until the new one is there.
let waiting = null;
let running = null;
const stale = (words) => {
  place.classList.add("preview-stale");
  state.textContent = words;
  const seen = place.querySelector("input[name='seen']");
  if (seen) seen.value = "";
};
const refresh = async () => {
  running?.abort();
  running = new AbortController();
  try {
    const answer = await fetch(form.dataset.preview, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      signal: running.signal,
    });
    if (!answer.ok) throw new Error(answer.statusText);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    place.replaceChildren(...page.body.childNodes);
    place.classList.remove("preview-stale");
    state.textContent = place.querySelector(".preview-wrong") ? "The order is not complete." : `Checked. ${place.querySelectorAll(".alert").length} alerts.`;
  } catch (error) {
    if (error.name === "AbortError") return;
    stale("Not checked: the server did not answer. Press Check.");
    const note = document.createElement("p");
    note.className = "unavailable";
    note.textContent = "Not checked: the server did not answer. Press Check.";
    place.prepend(note);
  }
};

if (form && place && state) {
  fold();
  form.addEventListener("input", (event) => {
    if (place.contains(event.target)) return;
    fold();
    stale("Checking.");
    clearTimeout(waiting);
    waiting = setTimeout(refresh, 350);
  });
}
