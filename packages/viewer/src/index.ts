export { type Role, roleOf } from './page/sort-files.js';
export { contentPolicy, headers } from './policy.js';
export { type ServedSession, startViewer, type Viewer, type ViewerCase, type ViewerOptions } from './server.js';
export type { ServedCase, ServedFile, Session } from './session.js';
export { viewerFolder } from './viewer-folder.js';
