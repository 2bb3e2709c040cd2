// What the build puts in.

/** Changes when the files of the embedded model do. */
declare const EMBEDDED_VERSION: string;
/** Changes when any file of the page does. */
declare const PAGE_VERSION: string;
/** All files of the page, relative to it. */
declare const PAGE_FILES: readonly string[];
