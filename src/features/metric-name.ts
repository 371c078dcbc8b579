// What the graph of the norms calls the metric of a parameter.

/** The name under which the graph takes the roots of the weights of a parameter's metric, of the parameter's shape. */
export const metricName = (param: string): string => `metric of ${param}`;

/** The same of a factored metric's vector or matrix along one axis of the parameter. */
export const factorName = (param: string, axis: number): string => `metric along ${axis} of ${param}`;
