/** What a checker throws. */

/** Something that may never be was. */
export class Violation extends Error {}
