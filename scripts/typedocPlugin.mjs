// A plugin for TypeDoc. Pages are called what their headings say, in the order of the configuration. Fields of types without a name (`{ readonly kind: "none" }`)
// need no comment of their own: the comment of what has the type speaks for them, and that one has to be there.
import { Converter, ReflectionKind } from "typedoc";

/** @param {import("typedoc").Application} app */
export function load(app) {
  app.converter.on(Converter.EVENT_END, ({ project }) => {
    for (const page of project.getReflectionsByKind(ReflectionKind.Document)) {
      if (!page.isDocument()) continue;
      const [first] = page.content;
      const [, heading] = /^# +(.+)$/m.exec(first?.text ?? "") ?? [];
      if (heading) page.name = heading.replaceAll("`", "");
    }
    const inOrder = [...(project.documents ?? [])].sort((a, b) => a.id - b.id);
    project.documents = inOrder;
    project.childrenIncludingDocuments = [...inOrder, ...(project.children ?? [])];
    const fields = project
      .getReflectionsByKind(ReflectionKind.Property)
      .filter((field) => !field.hasComment() && isInside(field.parent));
    app.options.setValue("intentionallyNotDocumented", [
      ...new Set(fields.map((field) => field.getFriendlyFullName())),
    ]);
  });
}

/** @param {import("typedoc").Reflection | undefined} parent */
function isInside(parent) {
  let inside = false;
  for (let at = parent; at; at = at.parent) {
    if (at.kindOf(ReflectionKind.Parameter)) return false; // asked of nobody
    inside ||= at.kindOf(ReflectionKind.TypeLiteral);
  }
  return inside;
}
