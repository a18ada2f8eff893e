// An error that the compiler itself does not know, shown as the compiler shows its own.

import { DiagnosticCategory, DiagnosticCode, DiagnosticMessage } from "assemblyscript";

/** A diagnostic with this text at `range`. */
export function problem(range, text) {
  const found = DiagnosticMessage.create(DiagnosticCode.User_defined_0, DiagnosticCategory.Error, text).withRange(range);
  found.message = text; // without the compiler's "User-defined: "
  return found;
}
