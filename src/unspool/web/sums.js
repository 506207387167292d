// Running sums that a step reads: where rising numbers and dates stand (unspool/network/cumulative.py, build.py).

import { clip, fround, mod, rint } from "./maths.js";
import { DAY, inverse } from "./values.js";

const OF_END = 4, WAVES = 12, SIZE = 0.25, SIZE_OF_DAYS = 0.175, MONTH_WAVES = 12, MOST_LEVEL = 5, LEAST_TYPICAL = 0.1, DAY_SLACK = 1e-3, MARCH_YEAR_0 = 719_468, ERA = 146_097;

/** What the next step reads of the running sum of a column of increments. */
export class SumFeatures {
  constructor(column) {
    const { increment, sumUnit } = column, toSum = value => (value * (column.unit ? 1 : column.sign) - column.origin) / sumUnit;
    const ends = [toSum(column.low), toSum(column.high)], low = Math.min(...ends), high = Math.max(...ends);
    const typical = ["log1p", "asinh"].includes(increment.transform)
      ? Math.max(inverse(increment.loc, increment.transform, 1), LEAST_TYPICAL) : Math.max(Math.abs(increment.loc) / sumUnit, 1);
    Object.assign(this, {
      loc: fround((low + high) / 2), scale: fround(Math.max((high - low) / Math.sqrt(12), LEAST_TYPICAL)),
      end: fround(column.end === null ? high : toSum(column.end)), typical: fround(typical), half: fround(increment.step / sumUnit / 2 / typical),
      calendar: calendar(column),
    });
  }

  get width() {
    return OF_END + (this.calendar?.width ?? 0) + WAVES;
  }

  of(total) {
    if (!Number.isFinite(total)) return new Float64Array(this.width);
    const left = Math.max((this.end - total) / this.typical, 0);
    const own = [clip((total - this.loc) / this.scale, -MOST_LEVEL, MOST_LEVEL), Math.exp(-left), Math.exp(-left / 4), left < this.half ? 1 : 0];
    const features = this.calendar ? [...own, ...this.calendar.of(total)] : own, size = this.calendar?.size ?? SIZE;
    const share = clip((total - this.loc) / this.scale / Math.sqrt(12) + 0.5, 0, 1);
    return Float64Array.from([...features, ...waves(share, 2, WAVES)], x => x * size);
  }
}

function calendar({ unit, months, origin, sumUnit, by_month: byMonth }) {
  if (!unit || months?.count === 12) return null;
  if (months) {
    const one = fround(sumUnit * months.count), start = fround(mod(origin * months.count + months.phase, 12));
    return { width: 6, size: SIZE, of: total => harmonics(mod(rint(fround(fround(total * one) + start)), 12) / 12, 3) };
  }
  const at = (origin * unit) / DAY, whole = Math.floor(at);
  const moments = { days: fround((sumUnit * unit) / DAY), whole, part: fround(at - whole), hours: unit < DAY ? 1 : 0, byMonth };
  return { width: 19 + (byMonth ? MONTH_WAVES + 2 : 0), size: SIZE_OF_DAYS, of: total => dayFeatures(total, moments) };
}

/** Harmonics of day, week and year, and the place in the month; a civil date as Hinnant computes it. */
function dayFeatures(total, { days, whole, part, hours, byMonth }) {
  const moment = fround(fround(total * days) + part), number = Math.floor(moment + DAY_SLACK), date = number + whole;
  const since = date + MARCH_YEAR_0, day = since - Math.floor(since / ERA) * ERA;
  const year = Math.floor((day - Math.floor(day / 1460) + Math.floor(day / 36_524) - Math.floor(day / (ERA - 1))) / 365);
  const ofYear = day - (365 * year + Math.floor(year / 4) - Math.floor(year / 100)), month = Math.floor((5 * ofYear + 2) / 153);
  const leap = (year + 1) % 4 === 0 && ((year + 1) % 100 !== 0 || (year + 1) % 400 === 0), start = m => Math.floor((153 * m + 2) / 5);
  const length = m => (m === 11 ? 28 + (leap ? 1 : 0) : start(m + 1) - start(m));
  const ofMonth = ofYear - start(month), left = length(month) - 1 - ofMonth;
  return [
    ...harmonics((moment - number) * hours, 3).map(x => x * hours), ...harmonics((date - 7 * Math.floor(date / 7)) / 7, 3), ...harmonics(ofYear / 365.25, 2),
    (ofMonth - 15) / 9, length(month) - 30, length(month === 11 ? 0 : month + 1) - 30,
    ...(byMonth ? [...waves(ofMonth / 31, 1, MONTH_WAVES), left === 0 ? 1 : 0, Math.exp(-left / 2)] : []),
  ];
}

function waves(share, slowest, count) {
  return Array.from({ length: count }, (_, k) => Math.cos(Math.PI * (slowest + k) * share));
}

function harmonics(phase, count) {
  return Array.from({ length: count }, (_, k) => 2 * Math.PI * (k + 1) * phase).flatMap(angle => [Math.sin(angle), Math.cos(angle)]);
}
