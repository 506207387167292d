// Dates that are the same day of a month, as whole numbers: Months of unspool/schema/monotone.py.

import { Refused } from "./errors.js";
import { clip, mod } from "./maths.js";
import { DAY } from "./values.js";

const EARLIEST_MONTH = -1968 * 12, LATEST_MONTH = 8029 * 12 - 1;

export class Months {
  static keys = { count: [[1, 3, 6, 12]], phase: ["whole", 0], day: ["counted", 1], time: ["notnegative", 0] };

  constructor(found, where) {
    Object.assign(this, found);
    if (this.phase >= this.count || this.day > 31 || this.time >= DAY) {
      throw new Refused(where, "a phase below the count, and a day of a month", JSON.stringify(found));
    }
  }

  /** The y of microseconds since 1970, of which infinite ones and NaN stay. */
  toUnits(time) {
    if (!Number.isFinite(time)) return time;
    const date = new Date(Math.floor(time / 1000)), number = (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth();
    let y = Math.floor((number - this.phase) / this.count);
    if (time < this.moment(y)) y -= 1;
    return y + (time - this.moment(y)) / (this.moment(y + 1) - this.moment(y));
  }

  /** The microseconds since 1970 of a y. */
  toTime(y) {
    const inside = clip(y, ...[EARLIEST_MONTH, LATEST_MONTH].map(end => Math.floor((end - this.phase) / this.count))), whole = Math.floor(inside);
    return this.moment(whole) + (inside - whole) * (this.moment(whole + 1) - this.moment(whole));
  }

  /** The microseconds of the day in the month of a whole y. */
  moment(y) {
    const months = y * this.count + this.phase, first = firstDay(months);
    return (first + Math.min(this.day, firstDay(months + 1) - first) - 1) * DAY + this.time;
  }
}

/** Days from 1970 to the first of a month, which counts from January 1970. */
function firstDay(months) {
  return new Date(0).setUTCFullYear(1970 + Math.floor(months / 12), mod(months, 12), 1) / 86_400_000;
}
