/**
 * Columns of a text on a printer or display. Pure. Says what string-width says, and says it at once for plain texts:
 * a receipt asks hundreds of times while a member waits.
 */
import stringWidth from 'string-width';

/** Printable ASCII, one column each; CJK ideographs, their full stop and comma, and full-width forms, two each. */
const plain = /^[\x20-\x7e\u3001\u3002\u4e00-\u9fff\uff01-\uff5e]*$/;

/** Columns that `text` takes; combining marks take none, and clusters what a terminal gives them. */
export const columnsOf = (text: string): number =>
  plain.test(text) ? text.length + text.replaceAll(/[\x20-\x7e]+/g, '').length : stringWidth(text);
