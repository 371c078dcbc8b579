export type { ImageTile, ReportContent, ReportSet } from './content.ts';
export { heatMap } from './heat-map.ts';
export { overviewSvg } from './overview.ts';
export { pageHtml, reportHtml } from './page.ts';
export {
  binsOfSets,
  type DistributionNumbers,
  distributionFigure,
  distributionNumbers,
  type LinePoint,
  lineChart,
  type NamedValues,
  setHistograms,
} from './paper-figures.ts';
export { escapeHtml, figure } from './text.ts';
