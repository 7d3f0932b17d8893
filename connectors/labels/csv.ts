/** Comma-separated values as RFC 4180 has them. Pure. */

/** A line of a table with the number of its first line in the file, counted from 1. */
export interface CsvRow {
  readonly line: number;
  readonly fields: readonly string[];
}

/**
 * Reads RFC 4180 text: commas, quoted fields with doubled quotes, line breaks inside quotes, CRLF or LF, a byte
 * order mark. Lenient where the RFC is silent: a quote inside a bare field is text, and a quote that is never closed
 * runs to the end of the text. Empty lines are left out.
 */
export function parseCsv(text: string): CsvRow[] {
  const rows: CsvRow[] = [];
  let fields: string[] = [];
  let field = '';
  let isQuoted = false;
  let wasQuoted = false;
  let line = 1;
  let firstLine = 1;

  const endField = () => {
    fields.push(field);
    field = '';
    wasQuoted = false;
  };
  const endRow = () => {
    const isEmptyLine = fields.length === 0 && field === '' && !wasQuoted;
    if (!isEmptyLine) {
      endField();
      rows.push({ line: firstLine, fields });
    }
    fields = [];
    firstLine = line;
  };

  for (let index = text.startsWith('\uFEFF') ? 1 : 0; index < text.length; index += 1) {
    const char = text[index];
    if (char === '\n') line += 1;
    if (isQuoted) {
      if (char !== '"') field += char;
      else if (text[index + 1] === '"') {
        field += '"';
        index += 1;
      } else isQuoted = false;
    } else if (char === '"' && field === '' && !wasQuoted) {
      isQuoted = true;
      wasQuoted = true;
    } else if (char === ',') endField();
    else if (char === '\n') endRow();
    else if (char === '\r' && text[index + 1] === '\n') continue;
    else field += char;
  }
  endRow();
  return rows;
}
