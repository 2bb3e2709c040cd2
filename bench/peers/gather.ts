// Brings what the page of the other engines needs into the folder that is named.
import { gatherPeers } from "./files.js";

const [folder] = process.argv.slice(2);
if (!folder) throw new Error("expected a folder");
await gatherPeers(folder);
