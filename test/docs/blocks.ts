/** A block of code in a page. */
export interface Block {
  /** The page, relative to the root. */
  readonly page: string;
  /** Line of the page on which its text begins, from 1. */
  readonly line: number;
  /** As written after the fence; "indented" for blocks that are set in by four spaces. */
  readonly language: string;
  readonly text: string;
  /** Comments right above, `<!-- name: value -->`, by name: `file`, `excerpt`, `write`, `run`, `runs`, `unchecked`. */
  readonly notes: Readonly<Record<string, string>>;
}

/** The blocks of code of a page in Markdown, in order. */
export function blocksOf(page: string, markdown: string): Block[] {
  const lines = markdown.split("\n");
  const blocks: Block[] = [];
  let notes: Record<string, string> = {};
  let text: string[] | undefined;
  let fence = "";
  let language = "";
  let begin = 0;
  const end = () => {
    blocks.push({ page, line: begin, language, text: text!.join("\n"), notes });
    text = undefined;
    notes = {};
  };
  for (const [i, line] of lines.entries()) {
    const opening = /^(`{3,})(\w*)\s*$/.exec(line);
    if (text && fence !== "") {
      if (line.trim() === fence) end();
      else text.push(line);
    } else if (text && /^( {4}|$)/.test(line)) {
      text.push(line.slice(4));
    } else {
      if (text) end();
      const note = /^<!-- (\w+)(?:: (.*))? -->$/.exec(line);
      if (note) notes = { ...notes, [note[1]!]: note[2] ?? "" };
      else if (opening || (/^ {4}\S/.test(line) && (lines[i - 1] ?? "") === "")) {
        [fence, language] = opening ? [opening[1]!, opening[2]!] : ["", "indented"];
        [text, begin] = [opening ? [] : [line.slice(4)], opening ? i + 2 : i + 1];
      } else if (line.trim() !== "") notes = {};
    }
  }
  if (text) end();
  return blocks;
}
