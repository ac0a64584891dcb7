/** The chart's margins, in px: left of the drawing, and the scale at its right. */
export const LEFT = 8, SCALE = 34;
/** The widest letter of the chart's fonts, in px. */
const LETTER = 8;

/** The labels of marks along the time axis of a chart so wide, in px; one that would be cut off at its right is left out. */
export function wholeLabels(marks: number[], from: number, to: number, width: number, label: (mark: number) => string): string[] {
  return marks.map((mark) => {
    const text = label(mark), x = LEFT + ((mark - from) / (to - from)) * (width - LEFT - SCALE);
    return x + text.length * LETTER <= width ? text : '';
  });
}
