/**
 * Why scripts/start does not go on, for a person to read: nothing broke, something has to be done first.
 */
export class StartRefused extends Error {
  constructor(
    message: string,
    /** 2: the command or configuration is wrong. 3: somebody has to do something on the machine first. */
    readonly exitCode: 2 | 3,
  ) {
    super(message);
    this.name = 'StartRefused';
  }
}
