// The functions that a proxy script may call, defined by what Netscape and Microsoft have written down about them. Given to this
// function: `resolve(name)`, the addresses of a name as a list of texts; `own()`, those of this machine; `all`, the global object.
(function (resolve, own, all) {
  "use strict";
  const text = (value) => String(value);
  const v4 = (value) => {
    const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text(value));
    if (parts === null) return null;
    let number = 0;
    for (let i = 1; i <= 4; i++) {
      const part = Number(parts[i]);
      if (part > 255) return null;
      number = number * 256 + part;
    }
    return number;
  };
  // An address as a list of bytes; null when it is none.
  const bytes = (value) => {
    const address = text(value).replace(/%.*$/, "");
    const number = v4(address);
    if (number !== null) return [number >>> 24, (number >>> 16) & 255, (number >>> 8) & 255, number & 255];
    if (!address.includes(":") || !/^[0-9a-f:.]+$/i.test(address)) return null;
    const halves = address.split("::");
    if (halves.length > 2) return null;
    const groups = (half) => {
      const list = [];
      for (const group of half === "" ? [] : half.split(":")) {
        const tail = v4(group);
        if (tail !== null) list.push(tail >>> 16, tail & 65535);
        else if (/^[0-9a-f]{1,4}$/i.test(group)) list.push(parseInt(group, 16));
        else return null;
      }
      return list;
    };
    const front = groups(halves[0]);
    const back = halves.length === 2 ? groups(halves[1]) : [];
    if (front === null || back === null) return null;
    const missing = 8 - front.length - back.length;
    if (halves.length === 2 ? missing < 0 : missing !== 0) return null;
    const whole = front.concat(new Array(Math.max(missing, 0)).fill(0), back);
    return whole.flatMap((group) => [group >> 8, group & 255]);
  };
  const firstV4 = (list) => list.find((address) => v4(address) !== null);

  all.isPlainHostName = (host) => !text(host).includes(".");
  all.dnsDomainIs = (host, domain) => text(host).endsWith(text(domain));
  all.localHostOrDomainIs = (host, name) => text(host) === text(name) || text(name).startsWith(text(host) + ".");
  all.dnsDomainLevels = (host) => text(host).split(".").length - 1;
  all.dnsResolve = (host) => (v4(host) !== null ? text(host) : firstV4(resolve(text(host))) ?? null);
  all.isResolvable = (host) => all.dnsResolve(host) !== null;
  all.convert_addr = (address) => (v4(address) ?? 0) | 0;
  all.isInNet = (host, pattern, mask) => {
    const [address, net, bits] = [all.dnsResolve(host), v4(pattern), v4(mask)];
    return address !== null && net !== null && bits !== null && (v4(address) & bits) === (net & bits);
  };
  all.myIpAddress = () => firstV4(own()) ?? "127.0.0.1";
  // As browsers have it: of a shell's patterns `*` and `?`, and otherwise a regular expression.
  all.shExpMatch = (value, pattern) => {
    const expression = text(pattern).replace(/[.*?]/g, (sign) => ({ ".": "\\.", "*": ".*", "?": "." })[sign]);
    return new RegExp("^" + expression + "$").test(text(value));
  };
  all.alert = () => undefined;

  // Microsoft's, for IPv6 as well.
  all.dnsResolveEx = (host) => (bytes(host) !== null ? text(host) : resolve(text(host)).join(";"));
  all.isResolvableEx = (host) => all.dnsResolveEx(host) !== "";
  all.myIpAddressEx = () => own().join(";");
  all.isInNetEx = (host, prefix) => {
    const parts = text(prefix).split("/");
    const net = bytes(parts[0]);
    if (parts.length !== 2 || net === null || !/^\d{1,3}$/.test(parts[1])) return false;
    const length = Number(parts[1]);
    if (length > net.length * 8) return false;
    const same = (address) => {
      if (address.length !== net.length) return false;
      for (let bit = 0; bit < length; bit++) {
        const mask = 128 >> (bit & 7);
        if ((address[bit >> 3] & mask) !== (net[bit >> 3] & mask)) return false;
      }
      return true;
    };
    const addresses = bytes(host) !== null ? [bytes(host)] : resolve(text(host)).map(bytes);
    return addresses.some((address) => address !== null && same(address));
  };
  all.sortIpAddressList = (list) => {
    const items = text(list).split(";").map((item) => item.trim()).filter((item) => item !== "");
    const parsed = items.map((item) => ({ item, key: bytes(item) }));
    if (parsed.length === 0 || parsed.some(({ key }) => key === null)) return "";
    // IPv6 comes first.
    const order = (one, other) => {
      if (one.key.length !== other.key.length) return other.key.length - one.key.length;
      const at = one.key.findIndex((byte, place) => byte !== other.key[place]);
      return at < 0 ? 0 : one.key[at] - other.key[at];
    };
    return parsed.sort(order).map(({ item }) => item).join(";");
  };
  all.getClientVersion = () => "1.0";

  // The present, each part in local time, or in GMT where the last of the arguments says so.
  const clock = (list) => {
    const gmt = list.length > 0 && list[list.length - 1] === "GMT";
    if (gmt) list.pop();
    const now = new Date();
    const get = (part) => (gmt ? now["getUTC" + part]() : now["get" + part]());
    return get;
  };
  const days = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
  const months = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
  // A range may go past the end and begin anew.
  const within = (low, value, high) => (low <= high ? low <= value && value <= high : low <= value || value <= high);

  all.weekdayRange = (...list) => {
    const get = clock(list);
    const from = days.indexOf(list[0]);
    const to = list.length > 1 ? days.indexOf(list[1]) : from;
    return from >= 0 && to >= 0 && list.length <= 2 && within(from, get("Day"), to);
  };
  all.timeRange = (...list) => {
    const get = clock(list);
    const numbers = list.map(Number);
    const now = [get("Hours"), get("Minutes"), get("Seconds")];
    const seconds = ([hour, minute = 0, second = 0]) => hour * 3600 + minute * 60 + second;
    if (numbers.some(Number.isNaN)) return false;
    switch (numbers.length) {
      case 1:
        return now[0] === numbers[0];
      case 2:
        // To the end of the last hour, as browsers have it; Netscape's description ends with its beginning.
        return within(numbers[0], now[0], numbers[1]);
      case 4:
        return within(seconds(numbers.slice(0, 2)), seconds(now), seconds(numbers.slice(2)));
      case 6:
        return within(seconds(numbers.slice(0, 3)), seconds(now), seconds(numbers.slice(3)));
      default:
        return false;
    }
  };
  all.dateRange = (...list) => {
    const get = clock(list);
    const kinds = list.map((item) => {
      if (months.includes(item)) return "m";
      const number = Number(item);
      return Number.isInteger(number) && number >= 1 ? (number <= 31 ? "d" : "y") : "?";
    });
    const shape = kinds.join("");
    const half = shape.length === 1 ? shape : shape.slice(0, shape.length / 2);
    if (shape.length !== 1 && half + half !== shape) return false;
    if (!["d", "m", "y", "dm", "my", "dmy"].includes(half)) return false;
    const number = (item) => (months.includes(item) ? months.indexOf(item) : Number(item));
    // The largest part first, so that one number is later than the other.
    const sum = (values) => values.reduceRight((total, value) => total * 32 + value, 0);
    const present = { d: get("Date"), m: get("Month"), y: get("FullYear") };
    const now = sum([...half].map((kind) => present[kind]));
    const from = sum(list.slice(0, half.length).map(number));
    const to = shape.length === 1 ? from : sum(list.slice(half.length).map(number));
    return half.includes("y") ? from <= now && now <= to : within(from, now, to);
  };
});
