// The types that json-as reads and writes right, as tests/integration/compile/test_json_as_shapes.py tries them. What is
// not in the list is refused, so that a type that has not been tried is never read wrong silently.

import { TypeFlags, TypeKind } from "assemblyscript";
import { isJson } from "./schemas.mjs";

/** The export that tells the host that a module uses json-as. */
export const MARKER_NAME = "__json_as_1_6";

const INTEGERS = new Set([
  TypeKind.I8, TypeKind.I16, TypeKind.I32, TypeKind.I64, TypeKind.U8, TypeKind.U16, TypeKind.U32, TypeKind.U64, TypeKind.Isize,
]);
const LIBRARY = new Map([
  ["~lib/string/String", "string"],
  ["~lib/date/Date", "Date"],
  ["~lib/array/Array", "Array"],
  ["~lib/staticarray/StaticArray", "StaticArray"],
  ["~lib/set/Set", "Set"],
  ["~lib/map/Map", "Map"],
  ["~lib/arraybuffer/ArrayBuffer", "bytes"],
  ...["Value", "Obj", "Arr", "Raw", "Box"].map((name) => [`~lib/json-as/assembly/index/JSON.${name}`, name]),
  ...["Int8", "Uint8", "Uint8Clamped", "Int16", "Uint16", "Int32", "Uint32", "Int64", "Uint64", "Float32", "Float64"].map(
    (name) => [`~lib/typedarray/${name}Array`, "bytes"],
  ),
]);
const INITIALIZED = new Set(["string", "Array", "Map", "Set"]);
const KEYS = new Set(["integer", "float", "bool", "string"]);
const SINGLE = ["integer", "float", "bool", "string", "Date", "class", "Value", "Obj", "Raw", "Box"];
// What each container may hold.
const ELEMENTS = {
  Array: new Set([...SINGLE, "Array", "Map", "Set"]),
  StaticArray: new Set([...SINGLE.filter((kind) => kind !== "Date"), "Array", "Map"]),
  Set: new Set(SINGLE),
  Map: new Set([...SINGLE, "Array", "Map", "Set", "bytes", "Arr"]),
};
const NULLABLE_MAP_VALUES = new Set(["string", "Date", "Raw"]);

/** A type's name as the author writes it. */
export function shown(type) {
  return type.toString().replace(/~lib\/(?:[\w.-]+\/)*|function\//g, "").replace(/\bassembly\/index\//g, "").replace(/\bString\b/g, "string");
}

/**
 * Why json-as does not read `type` at `place` ("document" or "member"), and what to write instead; or null. Classes whose
 * members are to be judged are given to `visit`.
 */
export function unreadable(type, place, visit) {
  const kind = kindOf(type);
  if (!kind) return unknown(type);
  if (kind === "pointer" && place === "document") return "0 is written as null; write 'u32'";
  return unreadableContent(type, kind, visit);
}

/** Whether json-as leaves a null in a member of this type when there is no initializer and no value. */
export function needsInitializer(type, { type: written }) {
  if (type.is(TypeFlags.Nullable) || !type.isReference) return false;
  const kind = kindOf(type);
  if (kind !== "class") return kind !== null && !INITIALIZED.has(kind);
  return type.classReference.typeArguments !== null && written.typeArguments?.length > 0;
}

function unreadableContent(type, kind, visit) {
  if (kind === "class") visit(type.classReference);
  if (!(kind in ELEMENTS)) return null;
  const parameters = type.classReference.typeArguments;
  const element = parameters.at(-1);
  if (kind === "Map" && !KEYS.has(kindOf(parameters[0]))) return `keys of type '${shown(parameters[0])}' are not read; write 'string'`;
  const elementKind = kindOf(element);
  if (!elementKind) return unknown(element);
  if (element.is(TypeFlags.Nullable) && !(kind === "Map" && NULLABLE_MAP_VALUES.has(elementKind))) {
    return `null is not read in '${kind}'; write '${shown(element.nonNullableType)}', or 'JSON.Value'`;
  }
  if (elementKind === "pointer") return `'${shown(element)}' is not read and written in '${kind}'; write 'i32' or 'u32'`;
  if (!ELEMENTS[kind].has(elementKind) || isBoxOfBool(element)) {
    return `'${shown(element)}' is not read in '${kind}'; write ${instead(element, elementKind)}`;
  }
  return unreadableContent(element, elementKind, visit);
}

/** What to write for an element that its container does not read. */
function instead(type, kind) {
  if (kind === "StaticArray") return `'${shown(type).replace(/^StaticArray/, "Array")}'`;
  if (kind === "bytes") return "an Array of numbers, such as 'Array<i32>'";
  if (kind === "Box") return "'bool'";
  if (kind === "Set") return `'${shown(type).replace(/^Set/, "Array")}'`;
  return "'JSON.Value'";
}

function unknown(type) {
  if (type.signatureReference) return "it is a function; mark the member with @omit";
  const declaration = type.classReference?.prototype.declaration;
  if (declaration && !type.classReference.internalName.startsWith("~lib/")) {
    return `class '${declaration.name.text}' has no @json; write @json before it`;
  }
  return "it is none of the types that JSON is read into; write 'JSON.Value'";
}

function kindOf(type) {
  if (!type.isReference) {
    if (type.kind === TypeKind.Bool) return "bool";
    if (type.kind === TypeKind.Usize) return "pointer";
    if (type.kind === TypeKind.F32 || type.kind === TypeKind.F64) return "float";
    return INTEGERS.has(type.kind) ? "integer" : null;
  }
  const prototype = type.classReference?.prototype;
  if (!prototype) return null;
  return LIBRARY.get(prototype.internalName) ?? (isJson(prototype.declaration) ? "class" : null);
}

function isBoxOfBool(type) {
  return type.classReference && kindOf(type) === "Box" && kindOf(type.classReference.typeArguments[0]) === "bool";
}
