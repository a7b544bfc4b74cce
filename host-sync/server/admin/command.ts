/**
 * One administration command: its name, the schema of its input, and the call on the host that it makes.
 * Must hold no command.
 */
import { z } from 'zod';
import type { Result } from '../../../terminal/kernel/result.js';
import type { Refusal } from '../service/types.js';

type Outcome = Promise<Result<unknown, Refusal>>;
export interface Command {
  readonly name: string;
  readonly input: z.ZodType;
  readonly run: (input: unknown) => Outcome;
}

export const command = <Schema extends z.ZodType>(
  name: string,
  input: Schema,
  run: (input: z.infer<Schema>) => Outcome,
): Command => ({
  name,
  input,
  run: run as (input: unknown) => Outcome,
});

export const nothing = z.strictObject({});
export const page = {
  cursor: z.string().max(200).nullable().default(null),
  limit: z.int().min(1).max(1000).default(100),
};
