import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { basename, dirname, join, relative, sep } from 'node:path';
import type { Random } from '@mdt/core';

/** What a program did to the files of one folder, and what a power loss may leave of it. */
export interface Trace {
  /** Operations so far. */
  readonly length: number;
  /** Stops listening. */
  end(): void;
  /**
   * Writes to the empty folder `to` what may be on disk when the power goes before operation `at`. What was synced is there; of the rest any
   * part may be, in any order: names, removals, contents whole, in half, as zeros or missing.
   */
  leave(to: string, at: number, random: Random): void;
}

type Node = number;

/** `sync` makes durable what came before it: contents of a file, names in a folder. */
type Operation =
  | { kind: 'link'; folder: Node; name: string; node: Node; isFolder: boolean }
  | { kind: 'unlink'; folder: Node; name: string }
  | { kind: 'move'; folder: Node; name: string; to: string }
  | { kind: 'write'; node: Node; data: Buffer; append: boolean }
  | { kind: 'sync'; node: Node };

/** Listens to the promises of `node:fs` for files below `root`, which is empty. */
export function traceDisk(root: string): Trace {
  const operations: Operation[] = [];
  const folders = new Map<Node, Map<string, Node>>([[0, new Map()]]);
  let last: Node = 0;
  const isInside = (path: unknown): path is string => typeof path === 'string' && path.startsWith(root);

  function find(path: string): Node | undefined {
    let node: Node | undefined = 0;
    for (const name of relative(root, path).split(sep)) if (name !== '') node = folders.get(node!)?.get(name);
    return node;
  }
  function note(operation: Operation): void {
    operations.push(operation);
    apply(folders, operation);
  }
  function link(path: string, isFolder: boolean): Node {
    last += 1;
    if (isFolder) folders.set(last, new Map());
    note({ kind: 'link', folder: find(dirname(path))!, name: basename(path), node: last, isFolder });
    return last;
  }
  function remove(path: string): void {
    const node = find(path);
    if (node === undefined) return;
    for (const name of [...(folders.get(node)?.keys() ?? [])]) remove(join(path, name));
    note({ kind: 'unlink', folder: find(dirname(path))!, name: basename(path) });
  }

  const { mkdir, rm, rename, open } = fs.promises;
  const makeFolders = (path: string): void => {
    if (path === root || find(path) !== undefined) return;
    makeFolders(dirname(path));
    link(path, true);
  };
  fs.promises.mkdir = (async (path: string, options: object) => {
    if (isInside(path)) makeFolders(path);
    return mkdir(path, options);
  }) as typeof mkdir;
  fs.promises.rm = async (path, options) => {
    if (isInside(path)) remove(path);
    return rm(path, options);
  };
  fs.promises.rename = async (from, to) => {
    if (isInside(from) && isInside(to)) {
      if (dirname(from) !== dirname(to)) throw new Error('this trace knows renames within a folder only');
      note({ kind: 'move', folder: find(dirname(from))!, name: basename(from), to: basename(to) });
    }
    return rename(from, to);
  };
  fs.promises.open = (async (path: string, flags: string, ...rest: []) => {
    const handle = await open(path, flags, ...rest);
    if (!isInside(path)) return handle;
    const node = find(path) ?? link(path, false);
    const { writeFile, appendFile, sync } = handle;
    const write = (data: string | Uint8Array, append: boolean) =>
      note({ kind: 'write', node, data: Buffer.from(data as string), append });
    handle.writeFile = async (data, ...options) => {
      write(data as string, false);
      return writeFile.call(handle, data, ...options);
    };
    handle.appendFile = async (data, ...options) => {
      write(data as string, true);
      return appendFile.call(handle, data, ...options);
    };
    handle.sync = async () => {
      await sync.call(handle);
      note({ kind: 'sync', node });
    };
    return handle;
  }) as typeof open;
  syncBuiltinESMExports();

  return {
    get length() {
      return operations.length;
    },
    end() {
      Object.assign(fs.promises, { mkdir, rm, rename, open });
      syncBuiltinESMExports();
    },
    leave: (to, at, random) => leave(operations.slice(0, at), to, random),
  };
}

function apply(folders: Map<Node, Map<string, Node>>, operation: Operation): void {
  if (operation.kind === 'write' || operation.kind === 'sync') return;
  const { folder, name } = operation;
  if (!folders.has(folder)) folders.set(folder, new Map());
  const entries = folders.get(folder)!;
  if (operation.kind === 'link') entries.set(name, operation.node);
  else {
    const node = entries.get(name);
    if (node === undefined) return; // what should be moved never reached the disk
    entries.delete(name);
    if (operation.kind === 'move') entries.set(operation.to, node);
  }
}

function leave(operations: readonly Operation[], to: string, random: Random): void {
  const folders = new Map<Node, Map<string, Node>>([[0, new Map()]]);
  const contents = new Map<Node, Buffer>();
  operations.forEach((operation, i) => {
    if (operation.kind === 'sync') return;
    const node = operation.kind === 'write' ? operation.node : operation.folder;
    const isSynced = operations.some((other, k) => k > i && other.kind === 'sync' && other.node === node);
    if (operation.kind !== 'write') {
      if (isSynced || random.next() < 0.5) apply(folders, operation);
      return;
    }
    const { data, append } = operation;
    const how = isSynced ? 0 : random.integer(0, 4);
    const written = [data, data.subarray(0, data.length >> 1), Buffer.alloc(data.length), Buffer.alloc(0)][how]!;
    const before = append ? (contents.get(node) ?? Buffer.alloc(0)) : Buffer.alloc(0);
    contents.set(node, Buffer.concat([before, written]));
  });
  const isFolder = new Set(operations.flatMap((one) => (one.kind === 'link' && one.isFolder ? [one.node] : [])));
  const write = (node: Node, path: string): void => {
    if (node !== 0 && !isFolder.has(node)) {
      fs.writeFileSync(path, contents.get(node) ?? '');
      return;
    }
    fs.mkdirSync(path, { recursive: true });
    for (const [name, child] of folders.get(node) ?? []) write(child, join(path, name));
  };
  write(0, to);
}
