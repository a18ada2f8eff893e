// The classes of a source that json-as generates code for, and what can be wrong with them before types are resolved.

import { CommonFlags, LiteralKind, NodeKind } from "assemblyscript";
import { problem } from "./problem.mjs";

// json-as knows types by their names: a class of the author's with such a name would be taken for another.
const TAKEN = new Set(["Array", "ArrayBuffer", "Box", "Date", "JSON", "Map", "Set", "StaticArray", "String", "boolean", "number"]);
const GENERATED = /^__(?:SERIALIZE|INITIALIZE|DESERIALIZE)/;
const PLAIN_KEY = /^[^"\\\u0000-\u001f]+$/;

/** Every class of the source as [declaration, qualified name, enclosing namespaces]. */
export function* classes(statements, path = []) {
  for (const statement of statements) {
    const node = statement.kind === NodeKind.ExportDefault ? statement.declaration : statement;
    if (node.kind === NodeKind.ClassDeclaration) yield [node, [...path, node.name.text].join("."), path];
    if (node.kind === NodeKind.NamespaceDeclaration) yield* classes(node.members, [...path, node.name.text]);
  }
}

/** The classes that are marked with `@json`. */
export function* jsonClasses(source) {
  for (const found of classes(source.statements)) if (isJson(found[0])) yield found;
}

export function isJson(node) {
  return node.decorators?.some(({ name }) => name.text === "json" || name.text === "serializable") ?? false;
}

/** The members that json-as reads and writes. */
export function fields(node) {
  return node.members.filter((member) => member.kind === NodeKind.FieldDeclaration && isRead(member));
}

export function isRead(field) {
  const hidden = field.is(CommonFlags.Static) || field.is(CommonFlags.Private) || field.is(CommonFlags.Protected);
  return !hidden && !decorator(field, "omit");
}

function decorator(node, name) {
  return node.decorators?.find((found) => found.name.text === name) ?? null;
}

export function schemaProblems(source) {
  const declared = new Map([...classes(source.statements)].map(([node, name]) => [name, node]));
  const found = [];
  for (const [node, , path] of jsonClasses(source)) {
    const name = node.name.text;
    if (TAKEN.has(name)) {
      found.push(problem(node.name.range, `json-as takes class '${name}' for another type of this name; write another name`));
    }
    checkClassDecorator(node, found);
    checkBase(node, path, declared, found);
    for (const member of node.members) checkMember(member, path, declared, found);
    for (const field of fields(node)) {
      if (field.type) checkTypes(field.type, path, declared, found);
    }
  }
  return found;
}

function checkClassDecorator(node, found) {
  const json = decorator(node, "json") ?? decorator(node, "serializable");
  const [argument] = json.args ?? [];
  if (argument?.kind === NodeKind.Literal && argument.literalKind === LiteralKind.Object) {
    for (const name of argument.names) {
      if (name.text === "lazy") found.push(problem(json.range, "json-as does not keep the text of lazy members alive; write @json without `lazy`"));
    }
  }
}

function checkBase(node, path, declared, found) {
  const type = node.extendsType;
  const base = type && lookUp(nameOf(type.name), path, declared);
  if (!base) return;
  const [name, own] = [base.name.text, node.name.text];
  if (!isJson(base)) {
    found.push(problem(type.range, `class '${name}', which '${own}' extends, has no @json; write @json before it`));
  } else if (base.typeParameters?.length) {
    found.push(problem(type.range, `json-as does not read the members of the generic class '${name}' in '${own}'; write them in '${own}'`));
  } else if (node.members.some(isCustom)) {
    found.push(problem(type.range, `json-as does not read the members of '${name}' beside the @deserializer of '${own}'; write '${own}' without extends`));
  } else if (base.members.some(isCustom)) {
    found.push(problem(type.range, `json-as does not read '${own}' with the @deserializer of '${name}'; write '${own}' without extends`));
  }
}

/** Whether a member is a method with @serializer or @deserializer. */
export function isCustom(member) {
  return member.decorators?.some(({ name }) => /^(?:de)?serializer$/i.test(name.text)) ?? false;
}

function checkMember(member, path, declared, found) {
  if (GENERATED.test(member.name.text)) {
    found.push(problem(member.name.range, `'${member.name.text}' is a name that json-as uses itself; write another name`));
  }
  if (member.kind === NodeKind.FieldDeclaration && decorator(member, "lazy")) {
    found.push(problem(member.range, "json-as does not keep the text of lazy members alive; remove @lazy"));
  }
  const alias = decorator(member, "alias");
  if (alias) {
    const [argument] = alias.args ?? [];
    const isText = argument?.kind === NodeKind.Literal && argument.literalKind === LiteralKind.String;
    if (!isText) found.push(problem(alias.range, '@alias needs the key as text: @alias("key")'));
    else if (!PLAIN_KEY.test(argument.value)) {
      found.push(problem(argument.range, "json-as does not find keys with quotes, backslashes or control characters, nor empty ones; read them with Map<string, …> or JSON.Obj"));
    }
  }
}

/** Report every class named in `type` that json-as has no code for. */
function checkTypes(type, path, declared, found) {
  if (type.kind !== NodeKind.NamedType) return;
  const name = nameOf(type.name);
  const node = lookUp(name, path, declared);
  if (node && !isJson(node)) found.push(problem(type.range, `class '${name}' has no @json; write @json before it`));
  if (name.split(".").at(-1) === "Lazy" && !node) {
    found.push(problem(type.range, "json-as does not keep the text of lazy members alive; write the type without JSON.Lazy"));
  }
  for (const argument of type.typeArguments ?? []) checkTypes(argument, path, declared, found);
}

function lookUp(name, path, declared) {
  for (let length = path.length; length >= 0; length--) {
    const node = declared.get([...path.slice(0, length), name].join("."));
    if (node) return node;
  }
  return null;
}

function nameOf(typeName) {
  const names = [];
  for (let part = typeName; part; part = part.next) names.push(part.identifier.text);
  return names.join(".");
}
