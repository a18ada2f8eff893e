// Headers: an ordered list of pairs, with names in lower case. https://fetch.spec.whatwg.org/#headers-class

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const NOT_A_VALUE = /[\0\r\n]|[^\0-\xff]/;
const WHITESPACE_AROUND = /^[\t\n\r ]+|[\t\n\r ]+$/g;
const SHOWN = Symbol.for("nodejs.util.inspect.custom");

function nameOf(name) {
  name = String(name);
  if (!TOKEN.test(name)) throw new TypeError(`${JSON.stringify(name)} is not a name of a header`);
  return name.toLowerCase();
}

function valueOf(value, name) {
  value = String(value).replace(WHITESPACE_AROUND, "");
  if (NOT_A_VALUE.test(value)) {
    throw new TypeError(`the value of the header ${name} has a character that headers cannot have: a line end, NUL, or one above U+00FF`);
  }
  return value;
}

export class Headers {
  #list = [];

  constructor(init) {
    if (init === undefined) return;
    if (init === null || (typeof init !== "object" && typeof init !== "function")) throw new TypeError("Headers needs an object or a list of pairs");
    if (#list in init) this.#list = init.#list.map((pair) => [...pair]);
    else if (typeof init[Symbol.iterator] === "function") {
      for (const pair of init) {
        const [name, value, ...more] = pair;
        if (value === undefined || more.length) throw new TypeError("Headers needs pairs of a name and a value");
        this.append(name, value);
      }
    } else {
      for (const name of Reflect.ownKeys(init)) {
        if (Object.getOwnPropertyDescriptor(init, name)?.enumerable) this.append(name, init[name]);
      }
    }
  }

  /** For the prelude: headers of a list whose names are in lower case, and the list of headers. */
  static adopt(list) {
    const headers = new Headers();
    headers.#list = list;
    return headers;
  }
  static listOf(headers) { return headers.#list; }

  append(name, value) {
    const key = nameOf(name);
    this.#list.push([key, valueOf(value, key)]);
  }
  set(name, value) {
    const key = nameOf(name);
    const text = valueOf(value, key);
    const first = this.#list.findIndex((pair) => pair[0] === key);
    if (first < 0) {
      this.#list.push([key, text]);
      return;
    }
    this.#list[first][1] = text;
    this.#list = this.#list.filter((pair, number) => number <= first || pair[0] !== key);
  }
  delete(name) {
    const key = nameOf(name);
    this.#list = this.#list.filter((pair) => pair[0] !== key);
  }
  get(name) {
    const key = nameOf(name);
    let found = null;
    for (const pair of this.#list) {
      if (pair[0] === key) found = found === null ? pair[1] : `${found}, ${pair[1]}`;
    }
    return found;
  }
  has(name) {
    const key = nameOf(name);
    return this.#list.some((pair) => pair[0] === key);
  }
  getSetCookie() {
    return this.#list.filter((pair) => pair[0] === "set-cookie").map((pair) => pair[1]);
  }
  forEach(callback, thisArgument) {
    for (const [name, value] of this) callback.call(thisArgument, value, name, this);
  }
  *entries() {
    const names = [...new Set(this.#list.map((pair) => pair[0]))].sort();
    for (const name of names) {
      if (name === "set-cookie") for (const cookie of this.getSetCookie()) yield [name, cookie];
      else yield [name, this.get(name)];
    }
  }
  *keys() {
    for (const [name] of this) yield name;
  }
  *values() {
    for (const [, value] of this) yield value;
  }
  get [Symbol.toStringTag]() { return "Headers"; }
  [SHOWN](_depth, options, inspect) { return `Headers ${inspect(Object.fromEntries(this.#list), options)}`; }
}
Object.defineProperty(Headers.prototype, Symbol.iterator, { value: Headers.prototype.entries, writable: true, configurable: true });

export const { adopt: adoptHeaders, listOf: listOfHeaders } = Headers;
delete Headers.adopt;
delete Headers.listOf;

/** Throws unless `method` is one that a request may have, and returns it as requests have it. */
export function methodOf(method) {
  const text = String(method);
  const upper = text.toUpperCase();
  if (!TOKEN.test(text) || upper === "CONNECT" || upper === "TRACE" || upper === "TRACK") {
    throw new TypeError(`a request cannot have the method ${JSON.stringify(text)}`);
  }
  return /^(?:GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH)$/.test(upper) ? upper : text;
}
