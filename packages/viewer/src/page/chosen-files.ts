/** A chosen file with its path below the folder that was dropped. */
export interface ChosenFile {
  path: string;
  file: File;
}

/** The parts of the browser's own type for dropped folders that are used. */
interface Entry {
  isFile: boolean;
  fullPath: string;
  file?(done: (file: File) => void, fail: (error: unknown) => void): void;
  createReader?(): { readEntries(done: (entries: Entry[]) => void, fail: (error: unknown) => void): void };
}

/** Most files of a folder: a series of images has some thousands. */
const mostFiles = 20_000;

/** All files that were dropped, those of folders too. */
export async function droppedFiles(data: DataTransfer): Promise<ChosenFile[]> {
  const entries = [...data.items].flatMap((item) => (item.webkitGetAsEntry() as Entry | null) ?? []);
  if (entries.length === 0) return [...data.files].map((file) => ({ path: file.name, file }));
  const found: ChosenFile[] = [];
  const visit = async (entry: Entry): Promise<void> => {
    if (found.length >= mostFiles) throw new Error(`more than ${mostFiles} files were dropped`);
    if (entry.isFile) {
      const file = await new Promise<File>((done, fail) => entry.file!(done, fail));
      found.push({ path: entry.fullPath.replace(/^\//, ''), file });
      return;
    }
    const reader = entry.createReader!();
    for (;;) {
      const some = await new Promise<Entry[]>((done, fail) => reader.readEntries(done, fail));
      if (some.length === 0) return;
      for (const inner of some) await visit(inner);
    }
  };
  for (const entry of entries) await visit(entry);
  return found;
}

/** Files of an `<input type=file>`, those of a folder with their paths. */
export const chosenFiles = (list: FileList | null): ChosenFile[] =>
  [...(list ?? [])].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
