// One kind of error, which says where, what was expected, what was found, and what to do.

export class Refused extends Error {
  constructor(location, expected, found, hint = "") {
    super(`${location}: expected ${expected}, found ${found}.${hint ? " " + hint : ""}`);
    this.name = "Refused";
    Object.assign(this, { location, expected, found, hint });
  }
}

/** The error about something that Python can do and this runtime can't. */
export function unsupported(what) {
  return new Refused("the JavaScript runtime", "a model or an option that it knows", what, "Use Unspool in Python.");
}

/** Some names in quotation marks, the first ones of many. */
export function listed(names, most = 6) {
  const shown = names.slice(0, most).map(name => (typeof name === "string" ? JSON.stringify(name) : String(name)));
  return shown.join(", ") + (names.length > most ? ", ..." : "");
}
