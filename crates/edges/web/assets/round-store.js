// What a device holds of a round: the pack, and doses until they are on the record. In this browser's own
// database, by organisation. Doses are dropped only when the server has said what became of them.

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
  return {
    pack: () => ask(on("pack", "readonly").get("pack")),
    keepPack: (pack) => ask(on("pack", "readwrite").put(pack, "pack")),
    dropPack: () => ask(on("pack", "readwrite").delete("pack")),
    doses: () => ask(on("doses", "readonly").getAll()),
    keepDose: (dose) => ask(on("doses", "readwrite").put(dose)),
    dropDose: (id) => ask(on("doses", "readwrite").delete(id)),
    close: () => data.close(),
  };
}
