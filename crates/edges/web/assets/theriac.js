// Enhancement only: every page does its whole work without this file. Nothing is fetched, nothing
// is stored, nothing of the page is evaluated.

// Rounds that this browser holds: those whose time is over go on every page, all of an organisation go before
// somebody signs out of it. Doses that were not sent, or are to be looked at, stay until they are.
const emptied = (name, gone) =>
  new Promise((done) => {
    const asked = indexedDB.open(name);
    asked.onupgradeneeded = () => asked.transaction.abort();
    asked.onerror = () => done();
    asked.onblocked = () => done();
    asked.onsuccess = () => {
      const data = asked.result;
      const end = () => { data.close(); done(); };
      if (!data.objectStoreNames.contains("pack")) return end();
      const work = data.transaction(["pack", "doses"], "readwrite");
      work.oncomplete = end;
      work.onabort = end;
      const packs = work.objectStore("pack");
      packs.get("pack").onsuccess = (event) => {
        const pack = event.target.result;
        if (!pack || !gone(pack)) return;
        packs.clear();
        work.objectStore("doses").openCursor().onsuccess = (step) => {
          const own = step.target.result;
          if (!own) return;
          if (own.value.state === "sent") own.delete();
          own.continue();
        };
      };
      return undefined;
    };
  });
const over = (pack) => pack.pack.until < Date.now() * 1000 - (pack.clock.device - pack.clock.server);
const swept = async () => {
  if (!("indexedDB" in window) || !indexedDB.databases) return;
  for (const { name } of await indexedDB.databases()) if (name.startsWith("theriac-round-")) await emptied(name, over);
};
swept().catch(() => {});
document.addEventListener("submit", (event) => {
  const form = event.target;
  const place = /^\/t\/([^/]+)\/sign-out$/.exec(new URL(form.action, location.href).pathname);
  if (!place || !("indexedDB" in window) || form.dataset.emptied) return;
  event.preventDefault();
  form.dataset.emptied = "yes";
  const late = new Promise((done) => setTimeout(done, 3000));
  Promise.race([emptied(`theriac-round-${place[1]}`, () => true), late]).finally(() => form.submit());
});

const typing = (target) =>
  target instanceof HTMLElement &&
  (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName));

// Keys: "/" goes to the search, "?" to the help page.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  if (event.key === "/") {
    const search = document.querySelector("[data-search], form[role='search'] input");
    event.preventDefault();
    if (search) search.focus();
    else if (document.body.dataset.home !== "/") location.assign(`${document.body.dataset.home}patients`);
  } else if (event.key === "?") {
    location.assign(document.querySelector(".foot-links a").href);
  }
});

// A question before a step that takes something away.
let asked = null;
document.addEventListener("submit", (event) => {
  const form = event.target;
  const question = form.dataset.confirm;
  if (!question || form === asked) return;
  event.preventDefault();
  const dialog = document.createElement("dialog");
  dialog.className = "ask";
  const title = document.createElement("h2");
  title.textContent = "Are you sure?";
  title.id = "ask-title";
  dialog.setAttribute("aria-labelledby", "ask-title");
  const words = document.createElement("p");
  words.textContent = question;
  const buttons = document.createElement("div");
  buttons.className = "buttons";
  const yes = document.createElement("button");
  yes.className = "button button-danger";
  yes.textContent = form.querySelector("button").firstChild.textContent.trim();
  const no = document.createElement("button");
  no.className = "button button-quiet";
  no.textContent = "Cancel";
  no.autofocus = true;
  buttons.append(no, yes);
  dialog.append(title, words, buttons);
  document.body.append(dialog);
  yes.addEventListener("click", () => { asked = form; dialog.close(); form.requestSubmit(); });
  no.addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
});

// A form is sent once, however often its button is pressed.
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((form) => delete form.dataset.sent));

// A filter above long tables. It says how many rows it hides.
for (const table of document.querySelectorAll("table[data-filter]")) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < 8) continue;
  const box = document.createElement("div");
  box.className = "field table-filter";
  const label = document.createElement("label");
  label.htmlFor = `${table.id}-filter`;
  label.textContent = `${table.dataset.filter} on this page`;
  const input = document.createElement("input");
  input.type = "search";
  input.id = label.htmlFor;
  input.className = "field-medium";
  const count = document.createElement("p");
  count.className = "hint";
  count.setAttribute("role", "status");
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLocaleLowerCase();
    let shown = 0;
    for (const row of rows) {
      row.hidden = wanted !== "" && !row.textContent.toLocaleLowerCase().includes(wanted);
      if (!row.hidden) shown += 1;
    }
    count.textContent = wanted === "" ? "" : `${shown} of ${rows.length} rows shown, ${rows.length - shown} hidden by this filter`;
  });
  box.append(label, input, count);
  table.before(box);
}

// A condition offers what fits its parameter; without scripts all is offered.
for (const row of document.querySelectorAll(".builder-row")) {
  const [name, how] = row.querySelectorAll("select");
  const fit = () => {
    const kind = name.selectedOptions[0]?.dataset.kind;
    for (const group of how.querySelectorAll("optgroup")) {
      const kinds = group.dataset.kinds;
      group.disabled = Boolean(kind && kinds && !kinds.split(" ").includes(kind));
    }
  };
  name.addEventListener("change", () => {
    fit();
    if (how.selectedOptions[0]?.parentElement.disabled) how.value = "";
  });
  fit();
}

// What is to be taken elsewhere can be copied: addresses, secrets that are shown once.
for (const value of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button button-small button-quiet";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(value.textContent);
    button.textContent = "Copied";
  });
  value.after(" ", button);
}

// Colours change at once; the form keeps working without this.
const themes = document.querySelector("form.themes");
if (themes) {
  themes.addEventListener("submit", (event) => {
    const theme = event.submitter?.value;
    if (theme === "system") delete document.documentElement.dataset.theme;
    else if (theme) document.documentElement.dataset.theme = theme;
  });
}

// Printing shows what is folded up, except the value tables of the plots.
addEventListener("beforeprint", () => document.querySelectorAll("details.fold, details.banner-more").forEach((details) => { details.open = true; }));

// A notice one minute before an idle session is locked by the server.
const minutes = Number(document.body.dataset.idleMinutes || 0);
if (minutes > 1) {
  setTimeout(() => {
    const note = document.createElement("div");
    note.className = "lock-note";
    note.setAttribute("role", "alert");
    const words = document.createElement("p");
    words.textContent = "You will be signed out in about one minute. What you typed is not yet saved.";
    const stay = document.createElement("a");
    stay.className = "button";
    stay.href = location.href;
    stay.textContent = "Stay signed in";
    note.append(words);
    // Going on by a link would lose a draft: offer it only where no form holds one.
    const draft = [...document.querySelectorAll("form[data-keep] input, form[data-keep] textarea")].some((field) => field.type !== "hidden" && field.value !== field.defaultValue);
    if (!draft) note.append(stay);
    document.body.append(note);
  }, (minutes - 1) * 60_000);
}

// The problem summary takes the focus.
document.querySelector(".error-summary")?.focus();

// A chart opens at today, not at its oldest day.
for (const chart of document.querySelectorAll(".mar-scroll")) {
  const today = chart.querySelector("th.mar-now");
  if (today) chart.scrollLeft = today.offsetLeft + today.offsetWidth * 4 - chart.clientWidth;
}
