export type { ImageTile, ReportContent, ReportSet } from './content.ts';
export { overviewSvg } from './overview.ts';
export { reportHtml } from './page.ts';
