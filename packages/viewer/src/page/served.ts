import type { ServedCase, ServedFile, Session } from '../session.js';
import type { ChosenFile } from './chosen-files.js';
import type { Role } from './sort-files.js';

/** The session that the page was served with; undefined for a page on its own. */
export async function servedSession(): Promise<Session | undefined> {
  const place = document.querySelector<HTMLMetaElement>('meta[name="mdt-session"]')?.content;
  if (!place) return undefined;
  const response = await fetch(place);
  if (!response.ok) throw new Error(`${place}: ${response.status} ${response.statusText}`);
  return (await response.json()) as Session;
}

/** Loads served files as if the reader had chosen them. */
export async function servedFiles(files: readonly ServedFile[]): Promise<ChosenFile[]> {
  return Promise.all(
    files.map(async ({ name, url }) => {
      const response = await fetch(url);
      if (!response.ok) throw new Error(`${name}: ${response.status} ${response.statusText}`);
      const file = new File([await response.blob()], name.slice(name.lastIndexOf('/') + 1));
      return { path: name, file };
    }),
  );
}

/** What of a case is opened, in the order in which it has to be. */
export const partsOf = (session: Session, one: ServedCase | undefined): [Role, ServedFile[]][] => {
  const parts: [Role, ServedFile[] | undefined][] = [
    ['image', one?.image],
    ['predictions', session.predictions && [session.predictions]],
    ['truth', one?.truth],
    ['segmentation', one?.segmentation],
    ['model', session.model],
  ];
  return parts.flatMap(([role, files]) => (files && files.length > 0 ? [[role, files] as [Role, ServedFile[]]] : []));
};
