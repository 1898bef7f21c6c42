// What the dock can hold. Each module registers its kind with dock.register() when it is first needed.

export const KINDS = {
  terminal: () => import("./terminal.js"),
  logs: () => import("./logs.js"),
  operation: () => import("./operation.js"),
};
