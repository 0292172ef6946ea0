// What a device holds of a round: the pack, and doses. In this browser's own database, by organisation. A dose
// `waits` until the server has said what became of it: `sent`, or to be looked at: `told`, `refused`.

const open = (tenant) =>
  new Promise((done, failed) => {
    const asked = indexedDB.open(`theriac-round-${tenant}`, 1);
    asked.onupgradeneeded = () => {
      asked.result.createObjectStore("pack");
      asked.result.createObjectStore("doses", { keyPath: "id" });
    };
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => failed(asked.error);
  });

const ask = (request) =>
  new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });

export async function store(tenant) {
  const data = await open(tenant);
  const on = (name, mode) => data.transaction(name, mode).objectStore(name);
  const own = {
    pack: () => ask(on("pack", "readonly").get("pack")),
    keepPack: (pack) => ask(on("pack", "readwrite").put(pack, "pack")),
    // What is sent goes with its round; what waits or is to be looked at stays.
    dropPack: async () => {
      await ask(on("pack", "readwrite").delete("pack"));
      await own.dropSent();
    },
    dropSent: async () => {
      for (const dose of await own.doses()) if (dose.state === "sent") await own.dropDose(dose.id);
    },
    doses: () => ask(on("doses", "readonly").getAll()),
    keepDose: (dose) => ask(on("doses", "readwrite").put(dose)),
    dropDose: (id) => ask(on("doses", "readwrite").delete(id)),
  };
  return own;
}
