/** The package's, as its package.json has it: a table of another version is measured anew. */
export const version = "0.1.0";
