// Requests to the JavaScript runtime, and its answers in JSON; the same in Node and in a browser.

const plain = (_, value) => (typeof value === "bigint" ? { integer: String(value) }
  : typeof value === "number" && !Number.isFinite(value) ? { special: String(value) }
    : ArrayBuffer.isView(value) ? Array.from(value) : value);

/** The answers of the model in some bytes, in one line. */
export function answers(readModel, bytes, requests) {
  const out = [], tried = task => {
    try {
      task();
    } catch (error) {
      if (error.name !== "Refused") throw error;
      out.push({ error: error.message });
    }
  };
  tried(() => {
    const model = readModel(bytes);
    requests.forEach(request => tried(() => model.generate(request).forEach(({ encoded, columns, value, ended }) => {
      out.push({ encoded, columns: Object.fromEntries(columns), value, ended });
    })));
  });
  return JSON.stringify(out, plain);
}
