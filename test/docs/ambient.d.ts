// Of browsers, and not in TypeScript's library yet.
interface Window {
  showDirectoryPicker(): Promise<FileSystemDirectoryHandle>;
}
