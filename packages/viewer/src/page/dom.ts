/** The element of an id; the page is broken without it. */
export function element<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element '${id}'`);
  return found as unknown as T;
}

/**
 * Says something to the reader, aloud where a screen reader listens.
 *
 * @param code of a refusal, as of `InputError`
 */
export function say(text: string, kind: 'plain' | 'bad' = 'plain', code = ''): void {
  const status = element('status');
  status.textContent = text;
  status.dataset.kind = kind;
  status.dataset.code = code;
}

/** Offers bytes as a file to the reader. */
export function download(name: string, bytes: Uint8Array): void {
  const url = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>]));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
