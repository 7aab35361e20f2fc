/** An instance key in form; `id` has up to 12 characters. */
export const keyOf = (id: string): string => `ocr_${id.padEnd(12, "0")}_${"x".repeat(38)}`;
