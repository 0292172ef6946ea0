// Fields that take the code of a pack: a hand-held scanner types it, and where the browser reads codes, the
// camera does. Nothing is kept or sent: a picture never leaves the page.

const WANTED = ["data_matrix", "ean_13", "ean_8", "upc_a", "itf", "code_128", "qr_code"];
// Milliseconds between two looks at the picture.
const PAUSE = 150;

const filled = (input, text) => {
  input.value = text;
  for (const kind of ["input", "change"]) input.dispatchEvent(new Event(kind, { bubbles: true }));
};

// A scanner ends with Enter, which would send a form that is not complete yet; some send the separator of
// GS1 as Ctrl and ], which a field does not take by itself.
const typed = (input) => {
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      input.dispatchEvent(new Event("change", { bubbles: true }));
    } else if (event.ctrlKey && event.key === "]") {
      event.preventDefault();
      input.setRangeText("\u001d", input.selectionStart, input.selectionEnd, "end");
    }
  });
};

const make = (tag, text, className) => {
  const own = document.createElement(tag);
  own.textContent = text;
  own.className = className;
  return own;
};

async function look(input, detector) {
  const dialog = make("dialog", "", "ask scan-camera");
  const title = make("h2", "Hold the code before the camera", "");
  title.id = "scan-title";
  dialog.setAttribute("aria-labelledby", title.id);
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  const says = make("p", "Waiting for the camera.", "");
  says.setAttribute("role", "status");
  const cancel = make("button", "Cancel", "button button-quiet");
  cancel.type = "button";
  dialog.append(title, video, says, cancel);
  document.body.append(dialog);
  let stream;
  dialog.addEventListener("close", () => {
    stream?.getTracks().forEach((track) => track.stop());
    dialog.remove();
    input.focus();
  });
  cancel.addEventListener("click", () => dialog.close());
  dialog.showModal();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    // Closed while the browser asked whether the page may.
    if (!dialog.open) return stream.getTracks().forEach((track) => track.stop());
    video.srcObject = stream;
    await video.play();
    says.textContent = "Looking for a code.";
  } catch {
    says.textContent = "The camera is not to be had: scan with a hand-held scanner, or type what stands below the code.";
    return;
  }
  while (dialog.open) {
    const [found] = await detector.detect(video).catch(() => []);
    if (found && dialog.open) {
      filled(input, found.rawValue);
      dialog.close();
      return;
    }
    await new Promise((done) => setTimeout(done, PAUSE));
  }
}

// Which kinds of codes the camera reads here; none where the browser has no reader.
const formats = async () => {
  if (!("BarcodeDetector" in window) || !navigator.mediaDevices?.getUserMedia) return [];
  const known = await BarcodeDetector.getSupportedFormats().catch(() => []);
  return WANTED.filter((own) => known.includes(own));
};

export async function wire(input) {
  if (input.dataset.scans) return;
  input.dataset.scans = "yes";
  input.autocomplete = "off";
  input.spellcheck = false;
  typed(input);
  const kinds = await formats();
  if (!kinds.length) return;
  const button = make("button", "Scan with the camera", "button button-small button-quiet");
  button.type = "button";
  button.addEventListener("click", () => look(input, new BarcodeDetector({ formats: kinds })));
  input.after(button);
}

for (const input of document.querySelectorAll("input[name^='scan-']")) wire(input);
