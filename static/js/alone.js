// The entry of pages that stand alone: what they need of what every page has.

import { startCopy } from "./copy.js";
import { startModules } from "./modules.js";

startCopy();
startModules();
