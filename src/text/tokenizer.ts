/** A prompt as the text encoder takes it. */
export interface PaddedPrompt {
  /** Start token, content, end token, padding: exactly the length that was asked for. */
  readonly ids: number[];
  /** Text of the content that did not fit, "" where everything did. */
  readonly truncated: string;
  /** Content tokens before anything was cut, start and end not counted. */
  readonly tokens: number;
}

/** Turns text into the ids that a text encoder was trained on. */
export interface Tokenizer {
  /** Tokens of a padded prompt unless stated otherwise. */
  readonly length: number;
  /** Ids with start and end tokens, neither truncated nor padded. */
  encode(text: string): number[];
  /** Ids cut or padded to `length`; cut content keeps its start and end tokens. */
  encodePadded(text: string, length?: number): PaddedPrompt;
}
