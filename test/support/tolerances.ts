// Every tolerance of the test suite, with its reason.

export const tolerance = {
  /** Worst entry of squared norms in float32 against float64: DESIGN's promise. */
  sqNormWorst: 1e-3,
  /** Median entry of the same. */
  sqNormMedian: 1e-5,
  /** Values of single ops in float32 (24 bits, a few hundred terms to a sum). */
  float32: 2e-5,
  /**
   * Central differences in float64 with steps of 1e-5: truncation 1e-10, cancellation 1e-11, both over small gradients.
   */
  finiteDifference: 1e-6,
} as const;
