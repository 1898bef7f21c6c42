// The entry: starts everything that every page has.

import { startCopy } from "./copy.js";
import { startDialogs } from "./confirm.js";
import { KINDS } from "./dock-kinds.js";
import { dock, startDock } from "./dock.js";
import { startHostFilter } from "./host-filter.js";
import { startLive } from "./live.js";
import { startMenus } from "./menus.js";
import { startModules } from "./modules.js";
import { startMorph } from "./morph.js";
import { startNavigation } from "./navigation.js";
import { startPalette } from "./palette.js";
import { startSelection } from "./selection.js";
import { startSidebar } from "./sidebar.js";
import { rescue } from "./terminal-memory.js";
import { startTheme } from "./theme.js";
import { startTime } from "./time.js";
import { startToasts } from "./toast.js";

startMorph();
startNavigation();
startTheme();
startSidebar();
startToasts();
startMenus();
startHostFilter();
startDialogs();
startCopy();
startSelection();
startTime();
startPalette();
startDock(KINDS);
rescue(dock);
startModules();
startLive();
