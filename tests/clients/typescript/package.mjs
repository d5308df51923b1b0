// Loads a package from the folder that tests/peers/install.sh made: ES modules do not look outside their own folders.

import { createRequire } from "node:module";
import path from "node:path";

const peers = process.env.TRADEWIND_NODE_PACKAGES;
if (!peers) throw new Error("TRADEWIND_NODE_PACKAGES does not say where the packages are; run the tests by `make test-clients`");

export const require = createRequire(path.join(peers, "package.json"));
