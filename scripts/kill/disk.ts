/**
 * A disk of its own for the box of the storage tests: small enough to be filled, or one that can be made read-only from
 * under it as a kernel does after an error. Wants root. Must be given back by `close`.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';

const megabyte = 1_048_576;
/** Enough for a box that has just begun, its reserve and its log of writes. */
const tmpfsBytes = 24 * megabyte;
const imageBytes = 64 * megabyte;

/** Why these disks cannot be had here; null: they can. */
export function diskProblem(): string | null {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'mounting a disk wants root on Linux';
  for (const program of ['mount', 'mkfs.ext4', 'e2fsck'])
    try {
      execFileSync('which', [program], { stdio: 'ignore' });
    } catch {
      return `${program} is not installed`;
    }
  return null;
}

export class SmallDisk {
  private constructor(
    readonly folder: string,
    private readonly image: string | null,
  ) {}

  /** In memory: full soon. */
  static tmpfs(folder: string): SmallDisk {
    mkdirSync(folder, { mode: 0o700 });
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${tmpfsBytes},mode=0700`, 'shouli-test', folder]);
    return new SmallDisk(folder, null);
  }

  /** ext4 on a file, which can fail. */
  static ext4(folder: string): SmallDisk {
    mkdirSync(folder, { mode: 0o700 });
    const image = `${folder}.img`;
    writeFileSync(image, '');
    truncateSync(image, imageBytes);
    execFileSync('mkfs.ext4', ['-q', '-E', 'root_owner=0:0', image]);
    const disk = new SmallDisk(folder, image);
    disk.#mount();
    return disk;
  }

  #mount(): void {
    if (this.image) execFileSync('mount', ['-o', 'loop', this.image, this.folder]);
  }

  /** Somebody else's file takes all that is left. */
  fill(): void {
    const file = openSync(path.join(this.folder, 'filler'), 'a');
    try {
      for (const size of [megabyte, 4_096, 1]) {
        try {
          for (;;) writeSync(file, Buffer.alloc(size, 0x5a));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
        }
      }
    } finally {
      closeSync(file);
    }
  }
  /** That file is gone. @returns bytes that are free now */
  free(): number {
    rmSync(path.join(this.folder, 'filler'), { force: true });
    const { bavail, bsize } = statfsSync(this.folder);
    return bavail * bsize;
  }

  /** The file system gives itself up as after an error of its device: read-only at once, with files open for writing. */
  abort(): void {
    execFileSync('mount', ['-o', 'remount,abort', this.folder]);
  }
  /** Checked and mounted again, as after a restart of the machine. Nobody may have it open. */
  repair(): void {
    if (!this.image) return;
    execFileSync('umount', [this.folder]);
    try {
      execFileSync('e2fsck', ['-f', '-y', this.image], { stdio: 'ignore' });
    } catch (error) {
      // 1: errors were corrected.
      if ((error as { status?: number }).status !== 1) throw error;
    }
    this.#mount();
  }

  close(): void {
    try {
      execFileSync('umount', ['-l', this.folder], { stdio: 'ignore' });
    } catch {
      // It was never mounted, or is gone already.
    }
    if (this.image) rmSync(this.image, { force: true });
  }
}
